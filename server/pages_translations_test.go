package server_test

import (
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestPagesChooseLanguage(t *testing.T) {
	s := newSite(t, siteOptions{})
	for _, c := range []struct{ locale, header, want string }{
		{"", "de;q=0.5,fr;q=0.9", "fr"}, {"", "de,fr", "de"}, {"", "xx, pt-PT;q=0.1", "pt"}, {"", "", "en"}, {"", "*", "en"},
		{"", "zh-TW,zh;q=0.9,en-US;q=0.8,en;q=0.7", "en"}, {"", "zh-TW,zh;q=0.9,de;q=0.8", "de"}, {"", "zh-Hant", "en"}, {"", "zh-CN,zh;q=0.9", "zh"},
		{"zh-TW", "", "en"}, {"zh-Hant", "", "en"}, {"zh-HK", "fr", "fr"}, {"zh-Hans-TW", "fr", "zh"}, {"zh", "fr", "zh"}, {"de-CH", "fr", "de"}, {"it", "", "en"},
	} {
		started := s.startLink(func(q *watchword.StartRequest) { q.Locale = c.locale })
		title := map[string]string{"en": "Is this you signing in?", "de": "Melden Sie sich gerade an?", "fr": "Est-ce bien vous qui", "pt": "É você que está entrando?", "zh": "是您本人在登录吗？"}[c.want]
		got := s.newPageClient().post("/l/"+started.ID+"/open", map[string]string{"token": started.token}, "Accept-Language", c.header)
		if !strings.Contains(got.html, title) {
			t.Errorf("locale %q, browser %q: no %q in %s", c.locale, c.header, title, got.text)
		}
		shell := s.newPageClient().get("/l/"+started.ID, "Accept-Language", c.header)
		if c.locale == "" && !strings.Contains(shell.text, `<html lang="`+c.want+`" dir="ltr">`) {
			t.Errorf("browser %q: %.60s", c.header, shell.text)
		}
	}
}
