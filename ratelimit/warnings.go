package ratelimit

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// The arithmetic of a guess. A wrong answer costs the address's guess budget, 30 a day, and the first try of each
// challenge is judged even when that is spent; so with codes of six digits the chance that one of a day's guesses at an
// address is right is at most (dailyGuesses + starts) / codeSpace.
const (
	dailyGuesses = 30
	codeSpace    = 1_000_000
)

// maxUnwarnedStarts is how many starts a day for one address are accepted without a word.
const maxUnwarnedStarts = 100

// Warnings spells out what rules for starts leave open, one sentence each, for an app that sends by the channels. They
// are no errors: an app may have its reasons. Defaults has none.
func Warnings(rules []Rule, channels []string) []string {
	var found []string
	for _, c := range channels {
		found = append(found, addressWarnings(rules, c)...)
	}
	for _, by := range []struct{ by, danger string }{
		{BySubject, "one subject may be asked at any number of addresses"},
		{ByIP, "one client may start challenges for any number of addresses"},
		{ByApp, "a loop in the app or its stolen key may send until the provider stops it"},
	} {
		if !hasRule(rules, by.by, "") {
			found = append(found, fmt.Sprintf("no limit by %s for everything that is started: %s", by.by, by.danger))
		}
	}
	for _, c := range channels {
		if slices.Contains(phoneChannels(), c) && !hasRule(rules, ByPrefix, c) && !hasRule(rules, ByCountry, c) {
			found = append(found, fmt.Sprintf("no limit by prefix or country for %s: whoever earns by messages to a block of numbers may have any number sent there", c))
		}
	}
	return found
}

// addressWarnings says how often one address can be written to, and what that means for guessing, where it is too often.
func addressWarnings(rules []Rule, channel string) []string {
	starts := startsPerDay(rules, channel)
	if math.IsInf(starts, 1) {
		return []string{fmt.Sprintf("no limit by address for %s: anybody may have any number of messages sent to one address, and each allows another guess at its code", channel)}
	}
	if starts <= maxUnwarnedStarts {
		return nil
	}
	var names []string
	for _, r := range rules {
		if r.By == ByAddress && r.matches(channel) {
			names = append(names, r.Name)
		}
	}
	chance := (dailyGuesses + starts) / codeSpace
	return []string{fmt.Sprintf("the limits by address for %s (%s) allow %.0f starts a day: with six digits one of the guesses at an address is right with a chance of up to 1 in %.0f a day",
		channel, strings.Join(names, ", "), starts, max(1, 1/chance))}
}

// startsPerDay is how many starts by a channel the rules allow for one address in any 24 hours; infinite without a rule.
func startsPerDay(rules []Rule, channel string) float64 {
	starts := math.Inf(1)
	for _, r := range rules {
		if r.By == ByAddress && r.matches(channel) {
			starts = min(starts, float64(r.Limit)*math.Ceil(float64(day)/float64(r.Window)))
		}
	}
	return starts
}

// hasRule reports whether a rule counts by something on the channel; for the empty channel, on all of them.
func hasRule(rules []Rule, by, channel string) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.By == by && r.matches(channel) })
}
