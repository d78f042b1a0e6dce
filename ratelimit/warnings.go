package ratelimit

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// An address may see 30 wrong answers a day (the failed-attempt limit), and the first try of each challenge is evaluated even if
// that limit is exhausted. So with codes of six digits the chance that one of a day's guesses is correct is at most
// (dailyGuesses + starts) / codeSpace.
const (
	dailyGuesses = 30
	codeSpace    = 1_000_000
)

// maxUnwarnedStarts is the largest number of starts a day for one address that causes no warning.
const maxUnwarnedStarts = 100

// Warnings returns a sentence for each risk that the rules for starts leave, for an app that sends by the given channels. They are
// not errors, because an app may accept a risk. There are none for DefaultRules.
func Warnings(rules []Rule, channels []string) []string {
	var found []string
	for _, c := range channels {
		found = append(found, addressWarnings(rules, c)...)
	}
	for _, r := range []struct{ by, risk string }{
		{BySubject, "challenges for one subject may be sent to any number of addresses"},
		{ByIP, "one client may start challenges for any number of addresses"},
		{ByApp, "a loop in the app, or an attacker with its API key, may send until the provider stops it"},
	} {
		if !hasRule(rules, r.by, "") {
			found = append(found, fmt.Sprintf("no limit by %s for all starts: %s", r.by, r.risk))
		}
	}
	for _, c := range channels {
		if slices.Contains(phoneChannels(), c) && !hasRule(rules, ByPrefix, c) && !hasRule(rules, ByCountry, c) {
			found = append(found, fmt.Sprintf("no limit by prefix or country for %s: the owner of a block of numbers who earns by incoming messages may cause any number of them", c))
		}
	}
	return found
}

// addressWarnings returns a warning if a channel allows too many starts a day for one address.
func addressWarnings(rules []Rule, channel string) []string {
	starts := startsPerDay(rules, channel)
	if math.IsInf(starts, 1) {
		return []string{fmt.Sprintf("no limit by address for %s: anybody may cause any number of messages to one address, and each allows another guess at its code", channel)}
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
	return []string{fmt.Sprintf("the limits by address for %s (%s) allow %.0f starts a day: with six digits the chance that one guess at an address is correct is up to 1 in %.0f a day",
		channel, strings.Join(names, ", "), starts, max(1, 1/chance))}
}

// startsPerDay returns how many starts by a channel the rules allow for one address in any 24 hours; infinity without a rule.
func startsPerDay(rules []Rule, channel string) float64 {
	starts := math.Inf(1)
	for _, r := range rules {
		if r.By == ByAddress && r.matches(channel) {
			starts = min(starts, float64(r.Limit)*math.Ceil(float64(day)/float64(r.Window)))
		}
	}
	return starts
}

// hasRule reports whether a rule with the given By counts events of the channel, or of all channels if the channel is empty.
func hasRule(rules []Rule, by, channel string) bool {
	return slices.ContainsFunc(rules, func(r Rule) bool { return r.By == by && r.matches(channel) })
}
