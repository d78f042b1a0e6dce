package ratelimit

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/setting"
)

// What a rule counts by. A rule matches buckets of its own By only.
const (
	ByAddress = "address" // the canonical phone number or mail address
	BySubject = "subject" // the app's own id of who is asked
	ByIP      = "ip"      // the client's address; IPv6 by its /64
	ByVisitor = "visitor" // the same, of a client who is nobody yet: nothing is sent, nobody is named, a passkey may answer
	ByPrefix  = "prefix"  // a number's calling code and leading digits
	ByCountry = "country" // a number's country
	ByApp     = "app"     // everything that one app does
	ByAll     = "all"     // everything that all apps with this rule do, whatever the bucket's key; known devices apart
)

// byValues lists the valid values of Rule.By.
var byValues = []string{ByAddress, BySubject, ByIP, ByVisitor, ByPrefix, ByCountry, ByApp, ByAll}

// MaxWindow is the longest window of a rule, so that nothing is remembered for longer.
const MaxWindow = 30 * 24 * time.Hour

// MaxLimit is the largest limit of a rule.
const MaxLimit = 1_000_000_000

// minWindow is the shortest window: Redis expires keys by the millisecond.
const minWindow = time.Millisecond

// A Rule allows Limit events in any stretch of time as long as Window, for each key of what it counts By.
type Rule struct {
	Name     string        // [a-z0-9_]{1,40}; callers see it as the problem's limit. What is counted is kept under it
	Limit    int           // 1 to MaxLimit
	Window   time.Duration // 1 ms to MaxWindow
	By       string        // one of the By constants
	Channels []string      // only what is sent by one of these channels counts; empty: everything
}

// matches reports whether the rule counts what happens on the channel (of a bucket of the rule's By).
func (r Rule) matches(channel string) bool {
	return len(r.Channels) == 0 || slices.Contains(r.Channels, channel)
}

// namePattern is what names of rules and channels look like: they become parts of keys and labels of metrics.
var namePattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// Validate reports everything that is wrong with the rules, joined into one error; nil when they can be used.
func Validate(rules []Rule) error {
	var problems []error
	seen := make(map[string]bool, len(rules))
	for i, r := range rules {
		if seen[r.Name] {
			problems = append(problems, setting.Errorf(fmt.Sprintf("Rules[%d].Name", i), "%q is taken by an earlier rule", r.Name))
		}
		seen[r.Name] = true
		problems = append(problems, r.problems(fmt.Sprintf("Rules[%d].", i))...)
	}
	return errors.Join(problems...)
}

// problems lists what is wrong with one rule, whose path begins each field.
func (r Rule) problems(rule string) []error {
	var found []error
	check := func(ok bool, field, format string, args ...any) {
		if !ok {
			found = append(found, setting.Errorf(rule+field, format, args...))
		}
	}
	check(namePattern.MatchString(r.Name), "Name", "must be 1 to 40 of a-z, 0-9 and _")
	check(r.Limit >= 1 && r.Limit <= MaxLimit, "Limit", "must be 1 to %d, not %d", MaxLimit, r.Limit)
	check(r.Window >= minWindow && r.Window <= MaxWindow, "Window", "must be %s to %s, not %s", minWindow, MaxWindow, r.Window)
	check(slices.Contains(byValues, r.By), "By", "must be one of %v, not %q", byValues, r.By)
	for i, c := range r.Channels {
		check(namePattern.MatchString(c), fmt.Sprintf("Channels[%d]", i), "%q must be 1 to 40 of a-z, 0-9 and _", c)
	}
	return found
}
