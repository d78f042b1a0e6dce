package enginetest_test

import (
	"context"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestStartAcceptsLocalesOfBCP47(t *testing.T) {
	for _, locale := range []string{"", "en", "de-AT", "DE-at", "ast", "zh-Hant", "zh-Hant-TW", "zh-cmn-Hans-CN", "zh-min-nan", "sr-Latn-RS", "sl-rozaj-biske-1994", "es-419", "de-CH-1901",
		"de-DE-u-co-phonebk-nu-latn", "en-US-u-islamcal", "en-a-bbb-x-a-ccc", "az-Arab-x-AZE-derbend", "x-whatever", "i-klingon", "en-GB-oed", "sgn-BE-FR", "art-lojban", "qaa-Qaaa-QM-x-southern",
		"de-DE-t-it-latn-gothic-t0-und-u-ca-buddhist-x-a-longer-one"} {
		k := newKit(t)
		req := startByEmail()
		req.Locale = locale
		if _, err := k.Start(context.Background(), req); err != nil {
			t.Errorf("%q: %v", locale, err)
		}
	}
	k := newKit(t)
	for _, locale := range []string{"e", "en_US", "en-", "-en", "en--US", "en US", "englisch1", "419", "de-419-DE", "a-DE", "en-u", "en-x", "x", "i-none", "i-klingon-x", "../en", "en\n",
		"de-DE, en", "de;q=0.5", "*", "en-İ", "deutsche-", "sgn-BE-FRA", "\u212Aa", "en-a-b", "x-" + strings.Repeat("abcdefgh-", 30) + "z"} {
		req := startByEmail()
		req.Locale = locale
		_, err := k.Start(context.Background(), req)
		if err == nil {
			t.Errorf("%q is accepted", locale)
			continue
		}
		if e := k.requireCode(err, watchword.ErrInvalidRequest); len(e.Fields) != 1 || e.Fields[0].Field != "locale" {
			t.Errorf("%q: %+v", locale, e.Fields)
		}
	}
}
