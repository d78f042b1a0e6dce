package ratelimit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/ratelimit"
)

func TestWarningsNameMissingLimits(t *testing.T) {
	all := []string{"sms", "voice", "whatsapp", "email"}
	without := func(bys ...string) []ratelimit.Rule {
		return slices.DeleteFunc(ratelimit.DefaultRules(), func(r ratelimit.Rule) bool { return slices.Contains(bys, r.By) })
	}
	renamed := func(name string, change func(*ratelimit.Rule)) []ratelimit.Rule {
		rules := ratelimit.DefaultRules()
		for i := range rules {
			if rules[i].Name == name {
				change(&rules[i])
			}
		}
		return rules
	}
	day := 24 * time.Hour
	for _, test := range []struct {
		name     string
		rules    []ratelimit.Rule
		channels []string
		want     []string // parts of the warnings, in order
	}{
		{"defaults", ratelimit.DefaultRules(), all, nil},
		{"nothing at all", nil, []string{"sms"}, []string{"no limit by address for sms", "no limit by subject", "no limit by ip", "no limit by app", "no limit by prefix or country for sms"}},
		{"nothing is sent", without(ratelimit.ByAddress, ratelimit.ByPrefix, ratelimit.ByCountry), nil, nil},
		{"no address", without(ratelimit.ByAddress), []string{"email"}, []string{"no limit by address for email"}},
		{"no ip", without(ratelimit.ByIP), all, []string{"no limit by ip"}},
		{"ip for one channel only", renamed("ip_10m", func(r *ratelimit.Rule) { r.Channels = []string{"sms"} }), all, nil},
		{"prefix is enough", without(ratelimit.ByCountry), all, nil},
		{"country is enough", without(ratelimit.ByPrefix), all, nil},
		{"neither", without(ratelimit.ByPrefix, ratelimit.ByCountry), []string{"email", "voice"}, []string{"no limit by prefix or country for voice"}},
		{"no daily limit", renamed("address_day", func(r *ratelimit.Rule) { r.By = ratelimit.BySubject }), []string{"sms"}, []string{"(address_10m) allow 720 starts a day"}},
		{"a large daily limit", renamed("address_day_email", func(r *ratelimit.Rule) { r.Limit = 470 }), []string{"email", "sms"}, []string{"allow 470 starts a day: with six digits the chance that one guess at an address is correct is up to 1 in 2000 a day"}},
		{"a longer window", renamed("address_day", func(r *ratelimit.Rule) { r.Limit, r.Window = 101, 2*day }), []string{"sms"}, []string{"allow 101 starts a day"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ratelimit.Warnings(test.rules, test.channels)
			if len(got) != len(test.want) {
				t.Fatalf("Warnings = %q, want %d", got, len(test.want))
			}
			for i := range got {
				if !strings.Contains(got[i], test.want[i]) {
					t.Errorf("warning %d is %q, want %q", i+1, got[i], test.want[i])
				}
			}
		})
	}
}
