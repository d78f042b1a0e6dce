package browsers_test

import (
	"testing"

	"github.com/watchword-auth/watchword/internal/browsers"
)

func TestRecognizeReturnsKnownNamesOnly(t *testing.T) {
	for userAgent, want := range map[string][2]string{
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36":                     {"Chrome", "Windows"},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0":       {"Edge", "Windows"},
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/1": {"Safari", "iPhone"},
		"Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0":                                                              {"Firefox", "Linux"},
		"<b>https://evil.com</b>": {"", ""},
		"":                        {"", ""},
	} {
		if browser, system := browsers.Recognize(userAgent); [2]string{browser, system} != want {
			t.Errorf("%q: %q, %q", userAgent, browser, system)
		}
	}
}
