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

// newEnrolmentSite is a site whose people have authenticator apps, recovery codes and keys.
func newEnrolmentSite(t *testing.T, pages server.Pages) *site {
	t.Helper()
	return newSite(t, siteOptions{pages: pages, engine: func(c *watchword.Config) {
		apps, err := totp.New(totp.Config{Issuer: "Example Shop"})
		must(t, err)
		keys, err := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Example Shop", Origins: []string{c.Issuer},
			Secret: watchword.NewCode("a secret of these tests, of 32 bytes and more")})
		must(t, err)
		c.Factors = &memory.Factors{}
		c.Strategies = append(c.Strategies, apps, recovery.New(), keys)
	}})
}

// startForSubject begins a challenge that sends nothing, for user_42.
func (s *site) startForSubject(strategy, purpose string, change ...func(*watchword.StartRequest)) startedChallenge {
	s.t.Helper()
	req := watchword.StartRequest{Strategy: strategy, Purpose: purpose, Subject: "user_42", ReturnURL: s.app.web.URL + "/done", Locale: "en",
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

// countFactors are what user_42 has of a kind.
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

// appCode is what an authenticator app shows now.
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
		t.Error("an id alone shows the secret")
	}
	v := s.openPage(c)
	got := v.get(c.page+"/state").want(t, http.StatusOK, "Set up your authenticator app", `<img class="qr" src="data:image/png;base64,`, "<span>"+secret[:4]+"</span><span>"+secret[4:8]+"</span>",
		`inputmode="numeric"`, `autocomplete="one-time-code"`)
	if shown := html.UnescapeString(got.html); !strings.Contains(shown, `href="`+uri+`"`) || !strings.Contains(shown, `src="`+qr+`"`) {
		t.Errorf("not the link or not the picture: %s", got.html)
	}
	if !strings.Contains(got.header.Get("Content-Security-Policy"), "img-src data:;") {
		t.Errorf("the picture is not allowed: %s", got.header.Get("Content-Security-Policy"))
	}
	v.post(c.page+"/answer", map[string]string{"answer": wrongCode(s.appCode(secret))}).want(t, http.StatusUnprocessableEntity, "That was not the code.", `class="qr"`, "autofocus")
	if s.countFactors("totp") != 0 {
		t.Error("a wrong code enrolled")
	}
	v.post(c.page+"/answer", map[string]string{"answer": s.appCode(secret)}).want(t, http.StatusOK, "Done")
	if s.countFactors("totp") != 1 {
		t.Error("nothing is enrolled")
	}
	must(t, s.app.redeem(t.Context()))
	if got := v.get(c.page + "/state"); strings.Contains(got.text, secret[:8]) {
		t.Error("the secret is shown again when it is enrolled")
	}
}

func TestRecoveryCodesPageEnrolsCodes(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("recovery", watchword.PurposeEnrol)
	codes := c.Public["codes"].([]string)
	v := s.openPage(c)
	got := v.get(c.page+"/state").want(t, http.StatusOK, "Keep these codes", "data-print", `data-copy="codes"`, `inputmode="text"`)
	for _, code := range codes {
		if strings.Count(got.html, "<li>"+code+"</li>") != 1 {
			t.Errorf("a code is missing: %s", got.html)
		}
	}
	v.post(c.page+"/answer", map[string]string{"answer": codes[3][1:] + codes[3][:1]}).want(t, http.StatusUnprocessableEntity, codes[0])
	v.post(c.page+"/answer", map[string]string{"answer": strings.ToLower(codes[3])}).want(t, http.StatusOK, "Done")
	if s.countFactors("recovery") != 1 {
		t.Error("nothing is enrolled")
	}
	if got := v.get(c.page + "/state"); strings.Contains(got.text, codes[0]) {
		t.Error("the codes are shown again")
	}
	c = s.startForSubject("recovery", "sign_in")
	s.openPage(c).get(c.page+"/state").want(t, http.StatusOK, "Enter your code")
}

func TestKeyPageReturnsOptionsAndRejectsOtherAnswers(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	for purpose, want := range map[string][]string{
		watchword.PurposeEnrol: {"Add a security key or passkey", `data-key="create"`, "Add key"},
		"sign_in":              {"Use your security key or passkey", `data-key="get"`, "Use key"},
	} {
		c := s.startForSubject("webauthn", purpose)
		v := s.openPage(c)
		got := v.get(c.page+"/state").want(t, http.StatusOK, append(want, "data-refused=", "data-twice=", "data-missing=")...)
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
			t.Errorf("%s: a text where a key is asked for: %s", purpose, got.Status)
		}
		v.do(http.MethodPost, c.page+"/answer", "application/json", `{"answer":{"id":"AAAA"}}`).want(t, http.StatusBadRequest, "That did not work")
		if got := s.status(c.ID); got.Status != watchword.Pending {
			t.Errorf("%s: an object that is not a credential: %s", purpose, got.Status)
		}
		v.do(http.MethodPost, c.page+"/answer", "application/json", `{"answer":`+wrongCredential()+`}`).want(t, http.StatusUnprocessableEntity, "Refused")
	}
}

// wrongCredential has the form of an assertion.
func wrongCredential() string {
	return `{"id":"AAAA","rawId":"AAAA","type":"public-key","response":{"clientDataJSON":"e30","signature":"AAAA","authenticatorData":"` +
		strings.Repeat("AAAA", 12) + `AA"}}`
}

// Callers of the API learn which member of a credential is wrong; it costs nothing, and a wrong credential does.
func TestCheckNamesInvalidMemberOfCredential(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("webauthn", "sign_in")
	for credential, want := range map[string]string{
		strings.Replace(wrongCredential(), "rawId", "rawID", 1):               `{"field":"answer.rawId","reason":"is written in other capitals"}`,
		strings.Replace(wrongCredential(), `"signature"`, `"SIGNATURE"`, 1):   `{"field":"answer.response.signature","reason":"is written in other capitals"}`,
		strings.Replace(wrongCredential(), `"AAAA"`, `"+/+/"`, 1):             `{"field":"answer.id","reason":"must be base64url"}`,
		strings.Replace(wrongCredential(), `{"id":`, `{"id":"AAAA","id":`, 1): `{"field":"answer.id","reason":"is there twice"}`,
		strings.Replace(wrongCredential(), `"e30"`, `null`, 1):                `{"field":"answer.response.clientDataJSON","reason":"is required"}`,
	} {
		if status, text := s.checkByAPI(c, credential); status != http.StatusBadRequest || !strings.Contains(text, `"errors":[`+want+`]`) {
			t.Errorf("%s: %d %s", credential, status, text)
		}
	}
	if got := s.status(c.ID); got.Status != watchword.Pending || got.TriesLeft != 1 {
		t.Fatalf("what is not a credential was charged: %+v", got)
	}
	if status, text := s.checkByAPI(c, wrongCredential()); status != http.StatusUnprocessableEntity {
		t.Errorf("a wrong credential: %d %s", status, text)
	}
}

// checkByAPI answers by the API.
func (s *site) checkByAPI(c startedChallenge, credential string) (status int, text string) {
	s.t.Helper()
	body := `{"purpose":"sign_in","subject":"` + c.Subject + `","answer":` + credential + `}`
	w := httptest.NewRecorder()
	s.server.ServeHTTP(w, newRequest(http.MethodPost, "/v1/challenges/"+c.ID+"/check", body))
	return w.Code, w.Body.String()
}

// A stranger may send somebody to the page of a challenge of his own. The page says where it was started, unless it is
// close by.
func TestKeyPageWarnsOnAnotherNetwork(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	for _, purpose := range []string{watchword.PurposeEnrol, "sign_in"} {
		c := s.startForSubject("webauthn", purpose, func(q *watchword.StartRequest) { q.Client.IP = "203.0.113.7" })
		v := s.openPage(c)
		v.get(c.page+"/state", "X-Forwarded-For", "198.51.100.1").want(t, http.StatusOK, "another network than yours", "203.0.113.7", "data-key=")
		if got := v.get(c.page+"/state", "X-Forwarded-For", "203.0.113.9"); strings.Contains(got.text, "another network") || strings.Contains(got.text, "203.0.113.7") {
			t.Errorf("%s: %s", purpose, got.text)
		}
	}
}

// What an app's user is named goes into the options and the link, and must not become a part of the page.
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

// An oddScan has addresses of other kinds than those that belong there.
type oddScan struct{}

func (oddScan) Name() string { return "odd" }
func (oddScan) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Subject: true}
}

func (oddScan) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return watchword.Prompt{Ask: watchword.AskScan, Public: map[string]any{"uri": "javascript:alert(1)", "qr": "https://elsewhere.example/x.png"}}, nil
}

func (oddScan) Verify(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{}, watchword.ErrMismatch
}

// An address that is not of the kind that belongs there is not taken over.
func TestScanPageDropsUnexpectedURLs(t *testing.T) {
	s := newSite(t, siteOptions{engine: func(c *watchword.Config) { c.Strategies = append(c.Strategies, oddScan{}) }})
	c := s.startForSubject("odd", "mfa")
	if got := s.openPage(c).get(c.page+"/state").want(t, http.StatusOK, "Set up your"); strings.Contains(got.html, "javascript:") || strings.Contains(got.html, "elsewhere") {
		t.Errorf("%s", got.html)
	}
}

// Whatever a page asks, all that a browser loads for it is under 30 kB.
func TestAskPagesStayUnderSizeLimit(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	for _, strategy := range []string{"totp", "recovery", "webauthn"} {
		c := s.startForSubject(strategy, watchword.PurposeEnrol, func(q *watchword.StartRequest) { q.Locale = "fr" })
		v := s.newPageClient()
		whole := v.get(c.page).text + v.get("/pages/page.css").text + v.get("/pages/page.js").text + v.get("/pages/keys.js").text +
			v.post(c.page+"/open", map[string]string{"ticket": c.Ticket.Reveal()}).text
		if t.Logf("%s: %d bytes", strategy, len(whole)); len(whole) > 30_000 {
			t.Errorf("%s: the page weighs %d bytes", strategy, len(whole))
		}
	}
}

// A whole life on the pages: an app is enrolled, and its next code signs in.
func TestEnrolledAuthenticatorSignsInOnPages(t *testing.T) {
	s := newEnrolmentSite(t, server.Pages{})
	c := s.startForSubject("totp", watchword.PurposeEnrol)
	secret := c.Public["secret"].(string)
	s.openPage(c).post(c.page+"/answer", map[string]string{"answer": s.appCode(secret)}).want(t, http.StatusOK, "Done")
	s.clock.advance(time.Minute)
	c = s.startForSubject("totp", "sign_in")
	s.openPage(c).post(c.page+"/answer", map[string]string{"answer": s.appCode(secret)}).want(t, http.StatusOK, "Done")
	must(t, s.app.redeem(t.Context()))
}
