package ratelimit

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/setting"
)

// Values of Rule.By. A rule counts buckets with the same By.
const (
	ByAddress = "address" // the canonical phone number or mail address
	BySubject = "subject" // the app's id of the person
	ByIP      = "ip"      // the client's IP address; IPv6 by its /64
	ByVisitor = "visitor" // the client's IP address, for starts without a subject that send nothing: discoverable passkeys
	ByPrefix  = "prefix"  // a number's calling code and leading digits
	ByCountry = "country" // a number's country
	ByApp     = "app"     // everything that one app does
	ByAll     = "all"     // everything that all apps with this rule do, whatever the bucket's key; trusted devices separately
)

// byValues lists the valid values of Rule.By.
var byValues = []string{ByAddress, BySubject, ByIP, ByVisitor, ByPrefix, ByCountry, ByApp, ByAll}

// MaxWindow is the longest window of a rule. No event is stored for longer.
const MaxWindow = 30 * 24 * time.Hour

// MaxLimit is the largest limit of a rule.
const MaxLimit = 1_000_000_000

// minWindow is the shortest window of a rule, because Redis expires keys with a resolution of a millisecond.
const minWindow = time.Millisecond

// A Rule allows Limit events in any period as long as Window, for each key of the buckets that it counts by.
type Rule struct {
	Name     string        // [a-z0-9_]{1,40}; clients see it as the limit of a problem. The store's keys contain it
	Limit    int           // 1 to MaxLimit
	Window   time.Duration // 1 ms to MaxWindow
	By       string        // one of the By constants
	Channels []string      // counts only events of these channels; empty: all
}

// matches reports whether the rule counts events of a channel.
func (r Rule) matches(channel string) bool {
	return len(r.Channels) == 0 || slices.Contains(r.Channels, channel)
}

// namePattern matches names of rules and channels, which become parts of keys and labels of metrics.
var namePattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// Validate returns an error that lists every problem of the rules, or nil if they are valid.
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

// problems returns the problems of one rule. The path of the rule, such as "Rules[0].", is the prefix of their field names.
func (r Rule) problems(path string) []error {
	var found []error
	check := func(ok bool, field, format string, args ...any) {
		if !ok {
			found = append(found, setting.Errorf(path+field, format, args...))
		}
	}
	check(namePattern.MatchString(r.Name), "Name", "must be 1 to 40 of a-z, 0-9 and _")
	check(r.Limit >= 1 && r.Limit <= MaxLimit, "Limit", "must be 1 to %d, not %d", MaxLimit, r.Limit)
	check(r.Window >= minWindow && r.Window <= MaxWindow, "Window", "must be %s to %s, not %s", minWindow, MaxWindow, r.Window)
	check(slices.Contains(byValues, r.By), "By", "must be one of %s, not %q", strings.Join(byValues, ", "), r.By)
	for i, c := range r.Channels {
		check(namePattern.MatchString(c), fmt.Sprintf("Channels[%d]", i), "%q must be 1 to 40 of a-z, 0-9 and _", c)
	}
	return found
}
