package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestStartAcceptsReturnURLOfListedOriginOnly(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) {
		c.ReturnOrigins = []string{"https://app.example.com", "https://other.example.com:8443", "http://localhost:3000"}
	})
	try := func(url string) error {
		req := startByEmail()
		req.ReturnURL = url
		_, err := k.Start(context.Background(), req)
		return err
	}
	for _, good := range []string{"https://app.example.com", "https://app.example.com/", "https://app.example.com/done?x=1", "https://app.example.com?x=https://evil.example",
		"https://other.example.com:8443/a", "http://localhost:3000/back"} {
		if err := try(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{
		"/done", "done", "//app.example.com", "//evil.example", "///app.example.com", "https:app.example.com", "https:/app.example.com", "https:///app.example.com",
		"http://app.example.com", "HTTPS://app.example.com", "https://APP.example.com", "https://app.example.com.", "https://app.example.com:443", "https://app.example.com:0443",
		"https://app.example.com:", "https://app.example.com:8443", "https://other.example.com", "https://app.example.com@evil.example", "https://app.example.com:x@evil.example",
		"https://evil.example/https://app.example.com", "https://evil.example?https://app.example.com", "https://evil.example#https://app.example.com", "https://app.example.com.evil.example",
		"https://evilapp.example.com", "https://app.example.com%2eevil.example", "https://app.example.com%00.evil.example", `https://evil.example\@app.example.com`, `https:\\app.example.com`,
		`https://app.example.com\.evil.example`, "https://app.example.com\t.evil.example", "\thttps://app.example.com", " https://app.example.com", "https://app.example.com\n", "https://app.exa\u200bmple.com",
		"https://аpp.example.com", "https://app。example.com", "javascript:alert(1)", "JaVaScRiPt://app.example.com/%0aalert(1)", "data:text/html,https://app.example.com", "vbscript:x", "file:///etc/passwd",
		"ftp://app.example.com", "blob:https://app.example.com/x", "https://[::1]/", "https://user:pass@app.example.com/", "https://user@app.example.com/", "https://app.example.com/done#y", "https://app.example.com/done#",
		"https://app.example.com/?challenge=1", "https://app.example.com/?a=b&verification", "https://app.example.com/?return_code=x", "https://app.example.com/?return%5Fcode=x", "https://app.example.com/?Error=x",
		"https://app.example.com/?a;error=x", "https://app.example.com|evil.example", "https://localhost:3000", "http://127.0.0.1:3000", "http://localhost",
	} {
		if err := try(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		} else {
			k.requireCode(err, watchword.ErrInvalidRequest)
		}
	}
	for _, bad := range []string{"app.example.com", "http://app.example.com", "https://app.example.com/path", "https://*.example.com", "https://a@app.example.com", "*"} {
		cfg := k.config
		cfg.ReturnOrigins = []string{bad}
		if _, err := watchword.New(cfg); err == nil {
			t.Errorf("the list may hold %q", bad)
		}
	}
}

func TestNewRefusesSMSOriginThatIsNoHost(t *testing.T) {
	k := newKit(t)
	for host, ok := range map[string]bool{"example.com": true, "app.example.com": true, "https://example.com": false, "example.com/x": false, "exa mple.com": false, "@example.com": false, "Example.com": false} {
		cfg := k.config
		cfg.SMSOrigin = host
		if _, err := watchword.New(cfg); (err == nil) != ok {
			t.Errorf("%q: %v", host, err)
		}
	}
}

// Links and receipts contain the issuer, so a text that a browser reads as another URL, or as none, is refused.
func TestNewRefusesInvalidIssuer(t *testing.T) {
	k := newKit(t)
	for issuer, ok := range map[string]bool{"https://verify.example.com": true, "https://example.com:8443/verify": true, "http://localhost:8080": true,
		"": false, "https://verify.bücher.example": false, "https://verify.example.com:0": false, "https://verify.example.com:99999": false, "https://verify.example.com/": false,
		"https://Verify.example.com": false, "http://verify.example.com": false, "https://verify.example.com?a=b": false, "verify.example.com": false} {
		cfg := k.config
		cfg.Issuer = issuer
		if _, err := watchword.New(cfg); (err == nil) != ok {
			t.Errorf("%q: %v", issuer, err)
		}
	}
}

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

// invisibleTexts are texts in which something is invisible or changes how the rest is displayed, and whether a label may be
// one.
func invisibleTexts() map[string]bool {
	out := map[string]bool{}
	for _, r := range []rune{'\u00ad', '\u034f', '\u061c', '\u115f', '\u17b4', '\u180e', '\u200b', '\u200e', '\u200f', '\u202a', '\u202b',
		'\u202c', '\u202d', '\u202e', '\u2060', '\u2064', '\u2066', '\u2069', '\u206f', '\u3164', '\ufeff', '\uffa0', '\ufff9', '\U0001bca0', '\U000e0001', '\U000e0041'} {
		out["user"+string(r)+"42"] = false
		out[string(r)] = false
	}
	for _, r := range []rune{'\u200c', '\u200d', '\ufe0e', '\ufe0f', '\U000e0100'} {
		out["user"+string(r)+"42"] = true
	}
	return out
}

// requireInvalidField requires an ErrInvalidRequest that names one field.
func requireInvalidField(t *testing.T, what string, err error, field string) {
	t.Helper()
	var known *watchword.Error
	if !errors.As(err, &known) || !errors.Is(err, watchword.ErrInvalidRequest) || len(known.Fields) != 1 || known.Fields[0].Field != field {
		t.Errorf("%s: %v, want %s to be invalid", what, err, field)
	}
}

func refusedSubjects() []string {
	out := slices.Clone(invalidSubjects)
	for text := range invisibleTexts() {
		out = append(out, text)
	}
	return out
}

func TestStartRefusesInvisibleOrUnsafeSubject(t *testing.T) {
	k := newKit(t)
	start := func(subject string) error {
		req := startByEmail()
		req.Subject = subject
		_, err := k.Start(context.Background(), req)
		return err
	}
	for _, subject := range refusedSubjects() {
		requireInvalidField(t, fmt.Sprintf("%+q", subject), start(subject), "subject")
	}
	for _, subject := range validSubjects {
		if err := start(subject); err != nil {
			t.Errorf("%+q: %v", subject, err)
		}
	}
}

// No challenge can have such a subject, so nothing is compared and nothing is charged.
func TestCheckChargesNoTryForInvalidSubject(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	for _, subject := range refusedSubjects() {
		_, err := k.check(s.ID, k.code(s.ID), func(r *watchword.CheckRequest) { r.Subject = subject })
		requireInvalidField(t, fmt.Sprintf("check by %+q", subject), err, "subject")
		_, err = k.Redeem(context.Background(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
		requireInvalidField(t, fmt.Sprintf("redeem by %+q", subject), err, "subject")
	}
	if v, err := k.Status(context.Background(), s.ID); err != nil || v.TriesLeft != s.TriesLeft {
		t.Errorf("%d tries are left, %v", v.TriesLeft, err)
	}
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Error(err)
	}
}

func TestImportFactorRefusesInvisibleOrUnsafeSubject(t *testing.T) {
	k := newEnrolmentKit(t)
	put := func(subject, label string) error {
		return k.ImportFactor(context.Background(), watchword.Factor{ID: "fa_1", Strategy: "weak", Subject: subject, Label: label}, watchword.Authority{Admin: true})
	}
	for _, subject := range append(refusedSubjects(), "") {
		requireInvalidField(t, fmt.Sprintf("%+q", subject), put(subject, "Phone"), "subject")
	}
	requireInvalidField(t, "a label", put("user_42", "Ph\u202eone"), "label")
}

// People read labels and transactions and decide by them.
func TestStartRefusesInvisibleText(t *testing.T) {
	k := newEnrolmentKit(t)
	r, err := k.enrol("weak", watchword.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	for text, allowed := range invisibleTexts() {
		ctx, what := context.Background(), fmt.Sprintf("%+q", text)
		_, renamed := k.RenameFactor(ctx, r.Factor.ID, text, watchword.Authority{Admin: true})
		_, labeled := k.Start(ctx, watchword.StartRequest{Strategy: "weak", Purpose: "enrol", Subject: "user_43", Label: text})
		req := startByEmail()
		req.To, req.Transaction = strings.ReplaceAll(fmt.Sprintf("%x@example.com", text), " ", ""), map[string]string{"payee": text}
		_, approved := k.Start(ctx, req)
		if allowed {
			if err := errors.Join(renamed, labeled, approved); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		requireInvalidField(t, what+" as another label", renamed, "label")
		requireInvalidField(t, what+" as a label", labeled, "label")
		requireInvalidField(t, what+" in a transaction", approved, "transaction")
		req.Transaction = map[string]string{text: "40.00"}
		_, approved = k.Start(ctx, req)
		requireInvalidField(t, what+" as the name of an entry", approved, "transaction")
	}
}

// invalidSubjects are visible texts that cannot name a subject.
var invalidSubjects = []string{".", "..", "/", " user_42", "user_42 ", "\u00a0user_42", "user_42\u3000", " ", "a\tb", "a\nb", "a\x00b", "a\u2028b", "a\x7fb", strings.Repeat("a", 256)}

// validSubjects are texts that can name a subject.
var validSubjects = []string{"user_42", "a", "...", "..a", "a..", "./.", "../..", "a/b", "/a", "//", "a b", "a?b", "a#b", "%2F", "%", "%2e", "a\\b", "ann@example.com", "ü", "用户", "كاربر",
	"؀1", strings.Repeat("a", 255)}
