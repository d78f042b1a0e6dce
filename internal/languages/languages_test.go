package languages_test

import (
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/languages"
)

func newMatcher(t testing.TB, names ...string) *languages.Matcher {
	t.Helper()
	m, err := languages.NewMatcher(names)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMatchRespectsScriptsAndRegions(t *testing.T) {
	builtIn := newMatcher(t, "de", "en", "es", "fr", "pt", "zh")
	more := newMatcher(t, "de", "en", "it", "pt", "pt-BR", "sr", "zh", "zh-Hant")
	for _, c := range []struct {
		m            *languages.Matcher
		locale, want string
	}{
		{builtIn, "zh", "zh"}, {builtIn, "zh-CN", "zh"}, {builtIn, "zh-SG", "zh"}, {builtIn, "zh-Hans", "zh"}, {builtIn, "zh-Hans-TW", "zh"}, {builtIn, "cmn", "zh"},
		{builtIn, "zh-TW", ""}, {builtIn, "zh-HK", ""}, {builtIn, "zh-MO", ""}, {builtIn, "zh-Hant", ""}, {builtIn, "zh-Hant-CN", ""}, {builtIn, "zh-Latn", ""}, {builtIn, "yue", ""},
		{builtIn, "de-AT", "de"}, {builtIn, "DE_ch", "de"}, {builtIn, "de-DE-u-co-phonebk", "de"}, {builtIn, "de-Latf", ""}, {builtIn, "es-419", "es"}, {builtIn, "pt-PT", "pt"},
		{builtIn, "en-GB-oed", "en"}, {builtIn, "en-Shaw", ""}, {builtIn, "ca", ""}, {builtIn, "ja", ""}, {builtIn, "xx", ""}, {builtIn, "", ""}, {builtIn, "../../etc", ""}, {builtIn, "en\n", ""},
		{more, "zh-TW", "zh-Hant"}, {more, "zh-HK", "zh-Hant"}, {more, "zh-Hant-TW", "zh-Hant"}, {more, "zh-CN", "zh"}, {more, "zh", "zh"},
		{more, "pt", "pt"}, {more, "pt-BR", "pt-BR"}, {more, "it-CH", "it"}, {more, "sr-RS", "sr"}, {more, "sr-Latn", ""}, {more, "sr-ME", ""},
	} {
		got, ok := c.m.Match(c.locale)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("%q: %q, want %q", c.locale, got, c.want)
		}
	}
}

func TestMatchAcceptedRespectsWeights(t *testing.T) {
	m := newMatcher(t, "de", "en", "es", "fr", "pt", "zh")
	for header, want := range map[string]string{
		"de;q=0.5,fr;q=0.9":                       "fr",
		"fr ; q=0.1 , de;q=0.2":                   "de",
		"de,fr":                                   "de",
		"fr;q=0,de;q=0.1":                         "de",
		"de-CH, fr;q=0.9":                         "de",
		"ja,fr;q=0.5":                             "fr",
		"xx,fr":                                   "fr",
		"not a tag!,fr":                           "fr",
		"de;q=much,fr;q=0.1":                      "fr",
		"zh-CN,zh;q=0.9,en;q=0.8":                 "zh",
		"zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7":     "en", // Chrome of Taiwan
		"zh-TW,zh;q=0.8,en-US;q=0.5,en;q=0.3":     "en", // Firefox of Taiwan
		"zh-HK,zh-TW;q=0.9,zh;q=0.8,fr;q=0.7":     "fr",
		"zh-TW,zh;q=0.9":                          "",
		"zh-TW,zh-CN;q=0.9,en;q=0.8":              "zh", // lists Simplified Chinese too
		"zh,zh-TW;q=0.9":                          "zh",
		"*":                                       "",
		"":                                        "",
		strings.Repeat("xx,", 31) + "fr":          "fr",
		strings.Repeat("xx,", 32) + "fr":          "", // beyond what is read
		strings.Repeat("de-x-", 10_000) + ",fr":   "fr",
		strings.Repeat("x", 100_000):              "",
		"en-GB,en;q=0.9,de;q=0.8":                 "en",
		"ca-ES,ca;q=0.9,es;q=0.8,en;q=0.7":        "es",
		"sr-RS,sr;q=0.9,pt-PT;q=0.8,pt-BR;q=0.95": "pt",
	} {
		got, ok := m.MatchAccepted(header)
		if got != want || ok != (want != "") {
			t.Errorf("%.60q: %q, want %q", header, got, want)
		}
	}
}

func TestNewMatcherReportsInvalidTags(t *testing.T) {
	_, err := languages.NewMatcher([]string{"de", "deutsch-land", "q"})
	if err == nil || !strings.Contains(err.Error(), `"deutsch-land"`) || !strings.Contains(err.Error(), `"q"`) || strings.Contains(err.Error(), `"de"`) {
		t.Errorf("error %v", err)
	}
	if _, err := languages.NewMatcher(nil); err == nil {
		t.Error("a matcher without languages")
	}
}

func FuzzMatch(f *testing.F) {
	m := newMatcher(f, "de", "en", "zh")
	f.Add("zh-TW", "zh-TW,zh;q=0.9")
	f.Fuzz(func(t *testing.T, locale, header string) {
		m.Match(locale)
		m.MatchAccepted(header)
	})
}

func TestIsRightToLeftDecidesByScript(t *testing.T) {
	for name, want := range map[string]bool{"ar": true, "ar-EG": true, "he": true, "fa-IR": true, "ur": true, "az-Arab": true, "dv": true,
		"en": false, "az": false, "zh-Hant": false, "": false} {
		if languages.IsRightToLeft(name) != want {
			t.Errorf("%q: right to left is %t", name, !want)
		}
	}
}
