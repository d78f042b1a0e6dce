package ratelimit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/ratelimit"
)

func TestValidateReportsInvalidRules(t *testing.T) {
	good := ratelimit.Rule{Name: "address_10m", Limit: 5, Window: time.Minute, By: ratelimit.ByAddress}
	for _, test := range []struct {
		name   string
		change func(*ratelimit.Rule)
		want   string // "": it is fine
	}{
		{"as it is", func(*ratelimit.Rule) {}, ""},
		{"largest", func(r *ratelimit.Rule) { r.Limit, r.Window = ratelimit.MaxLimit, ratelimit.MaxWindow }, ""},
		{"channels", func(r *ratelimit.Rule) { r.Channels = []string{"sms", "email"} }, ""},
		{"no limit", func(r *ratelimit.Rule) { r.Limit = 0 }, "Limit: must be"},
		{"negative limit", func(r *ratelimit.Rule) { r.Limit = -1 }, "Limit: must be"},
		{"huge limit", func(r *ratelimit.Rule) { r.Limit = ratelimit.MaxLimit + 1 }, "Limit: must be"},
		{"no window", func(r *ratelimit.Rule) { r.Window = 0 }, "Window: must be"},
		{"negative window", func(r *ratelimit.Rule) { r.Window = -time.Hour }, "Window: must be"},
		{"tiny window", func(r *ratelimit.Rule) { r.Window = time.Microsecond }, "Window: must be"},
		{"endless window", func(r *ratelimit.Rule) { r.Window = 31 * 24 * time.Hour }, "Window: must be"},
		{"no by", func(r *ratelimit.Rule) { r.By = "" }, "By: must be"},
		{"unknown by", func(r *ratelimit.Rule) { r.By = "Address" }, "By: must be"},
		{"no name", func(r *ratelimit.Rule) { r.Name = "" }, "Name: must be"},
		{"name with a colon", func(r *ratelimit.Rule) { r.Name = "a:b" }, "Name: must be"},
		{"name with a new line", func(r *ratelimit.Rule) { r.Name = "a\n" }, "Name: must be"},
		{"long name", func(r *ratelimit.Rule) { r.Name = strings.Repeat("a", 41) }, "Name: must be"},
		{"empty channel", func(r *ratelimit.Rule) { r.Channels = []string{""} }, "Channels["},
		{"upper-case channel", func(r *ratelimit.Rule) { r.Channels = []string{"sms", "EMAIL"} }, "Channels["},
	} {
		t.Run(test.name, func(t *testing.T) {
			rule := good
			test.change(&rule)
			err := ratelimit.Validate([]ratelimit.Rule{rule})
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("Validate(%+v) = %v, want %q", rule, err, test.want)
			}
		})
	}
}

// One error lists every problem of every rule.
func TestNewReportsEveryProblem(t *testing.T) {
	_, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), []ratelimit.Rule{
		{Name: "one", Limit: 0, Window: 0, By: "mood"},
		{Name: "two", Limit: 1, Window: time.Hour, By: ratelimit.ByIP},
		{Name: "two", Limit: 1, Window: 366 * 24 * time.Hour, By: ratelimit.ByIP},
	}, "a:b")
	for _, want := range []string{`Rules[0].Limit: `, `Rules[0].Window: `, `Rules[0].By: `, `Rules[2].Name: "two" is taken`, `Rules[2].Window: `, "app's id"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New = %v, want it to say %q", err, want)
		}
	}
}

func TestNewChecksAppIDs(t *testing.T) {
	for app, ok := range map[string]bool{"shop": true, "shop.example-1": true, "": false, "a:b": false, "{a": false, "a}": false, strings.Repeat("a", 101): false} {
		_, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{}), nil, app)
		if ok != (err == nil) {
			t.Errorf("New for the app %q = %v", app, err)
		}
	}
}

func TestDefaultRulesAreValid(t *testing.T) {
	for name, rules := range map[string][]ratelimit.Rule{"Defaults": ratelimit.DefaultRules(), "CheckDefaults": ratelimit.DefaultCheckRules()} {
		if err := ratelimit.Validate(rules); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
