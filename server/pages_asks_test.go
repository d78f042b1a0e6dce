package server_test

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	authenticator "github.com/pquerna/otp/totp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/webauthn"
)

// newEnrolmentSite returns a site with the strategies totp, recovery and webauthn.
func newEnrolmentSite(t *testing.T, pages server.Pages, change ...func(*watchword.Config)) *site {
	t.Helper()
	return newSite(t, siteOptions{pages: pages, engine: func(c *watchword.Config) {
		apps, err := totp.New(totp.Config{Issuer: "Example Shop"})
		must(t, err)
		keys, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Example Shop", Origins: []string{c.Issuer},
			Secret: watchword.NewCode("a secret of these tests, of 32 bytes and more")})
		must(t, err)
		c.Factors = &memory.Factors{}
		c.Strategies = append(c.Strategies, apps, recovery.New(), keys)
		for _, f := range change {
			f(c)
		}
	}})
}

// startForSubject starts a challenge that sends nothing, for user_42.
func (s *site) startForSubject(strategy, purpose string, change ...func(*watchword.StartRequest)) startedChallenge {
	s.t.Helper()
	req := watchword.StartRequest{Strategy: strategy, Purpose: purpose, Subject: "user_42", ReturnURL: s.app.web.URL + "/done", Locale: s.locale,
		Authority: watchword.Authority{Admin: true}}
	for _, c := range change {
		c(&req)
	}
	started, err := s.engine.Start(s.t.Context(), req)
	must(s.t, err)
	s.app.mu.Lock()
	s.app.started = started
	s.app.mu.Unlock()
	return startedChallenge{Started: started, page: "/c/" + started.ID}
}

// countFactors returns the number of factors of user_42 for a strategy.
func (s *site) countFactors(strategy string) (n int) {
	s.t.Helper()
	all, err := s.engine.ListFactors(s.t.Context(), "user_42")
	must(s.t, err)
	for _, f := range all {
		if f.Strategy == strategy {
			n++
		}
	}
	return n
}

// appCode returns the current code of an authenticator app.
func (s *site) appCode(secret string) string {
	s.t.Helper()
	code, err := authenticator.GenerateCode(secret, s.clock.Now())
	must(s.t, err)
	return code
}

func TestScanPageEnrolsAuthenticatorApp(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("totp", watchword.PurposeEnrol)
	secret, uri, qr := c.Public["secret"].(string), c.Public["uri"].(string), c.Public["qr"].(string)
	if got := s.newPageClient().get(c.page); strings.Contains(got.text, secret[:8]) {
		t.Error("the id alone reveals the secret")
	}
	v := s.openPage(c)
	got := v.get(c.page+"/state").want(t, http.StatusOK, "Set up your authenticator app", `<img class="qr" src="data:image/png;base64,`, "<span>"+secret[:4]+"</span><span>"+secret[4:8]+"</span>",
		`inputmode="numeric"`, `autocomplete="one-time-code"`)
	if text := html.UnescapeString(got.html); !strings.Contains(text, `href="`+uri+`"`) || !strings.Contains(text, `src="`+qr+`"`) {
		t.Errorf("the link or the QR code is missing: %s", got.html)
	}
	if !strings.Contains(got.header.Get("Content-Security-Policy"), "img-src data:;") {
		t.Errorf("the policy does not allow the QR code: %s", got.header.Get("Content-Security-Policy"))
	}
	v.post(c.page+"/answer", map[string]string{"answer": wrongCode(s.appCode(secret))}).want(t, http.StatusUnprocessableEntity, "That code doesn’t match.", `class="qr"`, "autofocus")
	if s.countFactors("totp") != 0 {
		t.Error("a wrong code enrolled a factor")
	}
	done := v.post(c.page+"/answer", map[string]string{"answer": s.appCode(secret)}).want(t, http.StatusOK, "Authenticator app added")
	if s.countFactors("totp") != 1 {
		t.Error("nothing is enrolled")
	}
	must(t, s.app.redeemAt(t.Context(), done.next))
	if got := v.get(c.page + "/state"); strings.Contains(got.text, secret[:8]) {
		t.Error("the secret is shown again after the enrolment")
	}
}

func TestRecoveryCodesPageEnrolsCodes(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("recovery", watchword.PurposeEnrol)
	codes := c.Public["codes"].([]string)
	v := s.openPage(c)
	got := v.get(c.page+"/state").want(t, http.StatusOK, "Save your recovery codes", "data-print", `data-copy="codes"`, `data-download="codes"`, `<input type="hidden" name="answer" value="`+codes[0]+`">`, "I saved these codes")
	for _, code := range codes {
		if strings.Count(got.html, "<li>"+code+"</li>") != 1 {
			t.Errorf("a code is missing: %s", got.html)
		}
	}
	v.post(c.page+"/answer", map[string]string{"answer": codes[3][1:] + codes[3][:1]}).want(t, http.StatusUnprocessableEntity, codes[0])
	v.post(c.page+"/answer", map[string]string{"answer": strings.ToLower(codes[3])}).want(t, http.StatusOK, "Recovery codes saved")
	if s.countFactors("recovery") != 1 {
		t.Error("nothing is enrolled")
	}
	if got := v.get(c.page + "/state"); strings.Contains(got.text, codes[0]) {
		t.Error("the codes are shown again")
	}
	c = s.startForSubject("recovery", "sign_in")
	v = s.openPage(c)
	v.get(c.page+"/state").want(t, http.StatusOK, "Enter a recovery code", "Each works once", `autocapitalize="characters"`)
	s.clock.advance(11 * time.Minute) // the page has expired, not the code, which works on another one
	v.get(c.page+"/state").want(t, http.StatusOK, "This page has expired", "Nothing has changed.")
}

func TestKeyPageReturnsOptionsAndRejectsOtherAnswers(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	for purpose, want := range map[string][]string{
		watchword.PurposeEnrol: {"Create a passkey", `data-key="create"`, "Create passkey", "data-twice="},
		"sign_in":              {"Use your passkey", `data-key="get"`, "Continue with passkey"},
	} {
		c := s.startForSubject("webauthn", purpose)
		v := s.openPage(c)
		got := v.get(c.page+"/state").want(t, http.StatusOK, append(want, "data-refused=", "data-missing=")...)
		found := regexp.MustCompile(`data-options="([^"]*)"`).FindStringSubmatch(got.html)
		if found == nil {
			t.Fatalf("%s: no options: %s", purpose, got.html)
		}
		expected, err := json.Marshal(c.Public)
		must(t, err)
		if html.UnescapeString(found[1]) != string(expected) {
			t.Errorf("%s: the options are %s, not %s", purpose, html.UnescapeString(found[1]), expected)
		}
		v.post(c.page+"/answer", map[string]string{"answer": "123456"}).want(t, http.StatusBadRequest)
		if got := s.status(c.ID); got.Status != watchword.Pending {
			t.Errorf("%s: status after a text instead of a credential: %s", purpose, got.Status)
		}
		v.do(http.MethodPost, c.page+"/answer", "application/json", `{"answer":{"id":"AAAA"}}`).want(t, http.StatusBadRequest, "That didn’t work")
		if got := s.status(c.ID); got.Status != watchword.Pending {
			t.Errorf("%s: status after an object that is not a credential: %s", purpose, got.Status)
		}
		v.do(http.MethodPost, c.page+"/answer", "application/json", `{"answer":`+wrongCredential()+`}`).want(t, http.StatusUnprocessableEntity, "Too many attempts")
	}
}

// wrongCredential returns a credential that has the form of an assertion.
func wrongCredential() string {
	return `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","signature":"AAAA","authenticatorData":"` +
		strings.Repeat("AAAA", 12) + `AA"}}`
}

// A malformed credential charges no try, and the problem names the member. A wrong credential charges a try.
func TestCheckNamesInvalidMemberOfCredential(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("webauthn", "sign_in")
	for credential, want := range map[string]string{
		strings.Replace(wrongCredential(), "rawId", "rawID", 1):               `{"field":"answer.rawId","reason":"is written in other capitals"}`,
		strings.Replace(wrongCredential(), `"signature"`, `"SIGNATURE"`, 1):   `{"field":"answer.response.signature","reason":"is written in other capitals"}`,
		strings.Replace(wrongCredential(), `"AAAA"`, `"+/+/"`, 1):             `{"field":"answer.id","reason":"must be base64url"}`,
		strings.Replace(wrongCredential(), `{"id":`, `{"id":"AAAA","id":`, 1): `{"field":"answer.id","reason":"appears more than once"}`,
		strings.Replace(wrongCredential(), `"e30"`, `null`, 1):                `{"field":"answer.response.clientDataJSON","reason":"is required"}`,
	} {
		if status, text := s.checkByAPI(c, credential); status != http.StatusBadRequest || !strings.Contains(text, `"errors":[`+want+`]`) {
			t.Errorf("%s: %d %s", credential, status, text)
		}
	}
	if got := s.status(c.ID); got.Status != watchword.Pending || got.TriesLeft != 1 {
		t.Fatalf("a malformed credential charged a try: %+v", got)
	}
	if status, text := s.checkByAPI(c, wrongCredential()); status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong credential: %d %s", status, text)
	}
}

// checkByAPI sends a credential to the check operation.
func (s *site) checkByAPI(c startedChallenge, credential string) (status int, text string) {
	s.t.Helper()
	body := `{"purpose":"sign_in","subject":"` + c.Subject + `","answer":` + credential + `}`
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, newRequest(http.MethodPost, "/v1/challenges/"+c.ID+"/check", body))
	return w.Code, w.Body.String()
}

// An attacker can send a person to the page of the attacker's challenge, so the page warns if the challenge was started on
// another network.
func TestKeyPageWarnsOnAnotherNetwork(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	for _, purpose := range []string{watchword.PurposeEnrol, "sign_in"} {
		c := s.startForSubject("webauthn", purpose, func(q *watchword.StartRequest) { q.Client.IP = "203.0.113.7" })
		v := s.openPage(c)
		v.get(c.page+"/state", "X-Forwarded-For", "198.51.100.1").want(t, http.StatusOK, "came from a different network", "203.0.113.7", "data-key=")
		if got := v.get(c.page+"/state", "X-Forwarded-For", "203.0.113.9"); strings.Contains(got.text, "different network") || strings.Contains(got.text, "203.0.113.7") {
			t.Errorf("%s: %s", purpose, got.text)
		}
	}
}

// The names of a user are in the WebAuthn options and in the otpauth link, which the page contains.
func TestPagesEscapeUserNames(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	for _, strategy := range []string{"webauthn", "totp"} {
		c := s.startForSubject(strategy, watchword.PurposeEnrol, func(q *watchword.StartRequest) {
			q.Metadata = map[string]string{"display_name": `'"><b>`, "account": `"><script>alert(1)</script>`}
		})
		if got := s.openPage(c).get(c.page + "/state"); strings.Contains(got.html, "<script") || strings.Contains(got.html, "<b>") || strings.Contains(got.html, "ZgotmplZ") {
			t.Errorf("%s: %s", strategy, got.html)
		}
	}
}

// An unsafeScan strategy returns URLs with unexpected schemes.
type unsafeScan struct{}

func (unsafeScan) Name() string { return "unsafe" }
func (unsafeScan) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Subject: true}
}

func (unsafeScan) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return watchword.Prompt{Ask: watchword.AskScan, Public: map[string]any{"uri": "javascript:alert(1)", "qr": "https://elsewhere.example/x.png"}}, nil
}

func (unsafeScan) Verify(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{}, watchword.ErrMismatch
}

func TestScanPageDropsUnexpectedURLs(t *testing.T) {
	s := newSite(t, siteOptions{engine: func(c *watchword.Config) { c.Strategies = append(c.Strategies, unsafeScan{}) }})
	c := s.startForSubject("unsafe", "mfa")
	if got := s.openPage(c).get(c.page+"/state").want(t, http.StatusOK, "Set up your"); strings.Contains(got.html, "javascript:") || strings.Contains(got.html, "elsewhere") {
		t.Errorf("%s", got.html)
	}
}

func TestEnrolledAuthenticatorSignsInOnPages(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("totp", watchword.PurposeEnrol)
	secret := c.Public["secret"].(string)
	s.openPage(c).post(c.page+"/answer", map[string]string{"answer": s.appCode(secret)}).want(t, http.StatusOK, "Authenticator app added")
	s.clock.advance(time.Minute)
	c = s.startForSubject("totp", "sign_in")
	done := s.openPage(c).post(c.page+"/answer", map[string]string{"answer": s.appCode(secret)}).want(t, http.StatusOK, "You’re signed in")
	must(t, s.app.redeemAt(t.Context(), done.next))
}
