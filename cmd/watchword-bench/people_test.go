package main

import (
	"slices"
	"testing"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/ratelimit"
)

// If a start of a cell were refused, the benchmark would measure refusals, or end with an error.
func TestPersonsOfACellStayBelowTheDefaultLimits(t *testing.T) {
	parse, err := delivery.NewAddressPolicy(delivery.Addresses{AllCountries: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, first := range []int64{1, 7_654_321} {
		counts := map[string]map[string]int{}
		count := func(by, key string) {
			if counts[by] == nil {
				counts[by] = map[string]int{}
			}
			counts[by][key]++
		}
		for n := first; n < first+maxStarts; n++ {
			p := newPerson(n)
			to, err := parse("sms", p.number)
			if err != nil {
				t.Fatalf("person %d: %s: %v", n, p.number, err)
			}
			count(ratelimit.ByAddress, to.Value)
			count(ratelimit.BySubject, p.subject)
			count(ratelimit.ByIP, p.ip)
			count(ratelimit.ByPrefix, to.Prefix)
			count(ratelimit.ByCountry, to.Country)
			count(ratelimit.ByApp, "dev")
		}
		for _, by := range []string{ratelimit.ByAddress, ratelimit.BySubject, ratelimit.ByIP} {
			if len(counts[by]) != maxStarts {
				t.Errorf("%d starts have %d different values of %s", maxStarts, len(counts[by]), by)
			}
		}
		for _, rule := range ratelimit.DefaultRules() {
			if len(rule.Channels) > 0 && !slices.Contains(rule.Channels, "sms") {
				continue
			}
			for key, n := range counts[rule.By] {
				if n > rule.Limit {
					t.Errorf("from person %d: %d starts of %s, but %s allows %d", first, n, key, rule.Name, rule.Limit)
				}
			}
		}
	}
}
