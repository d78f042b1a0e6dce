package webauthn

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp/recovery"
)

// A handlerKit is an app with the handler. Its session is a cookie with the subject.
type handlerKit struct {
	*kit
	url string
}

func newHandlerKit(t *testing.T, change ...func(*HandlerConfig)) *handlerKit {
	t.Helper()
	k := &handlerKit{kit: newKit(t)}
	k.strategy.cfg.Origins = append(k.strategy.cfg.Origins, "http://localhost") // so that the cookie is sent without TLS
	cfg := HandlerConfig{Engine: k.Engine, Keys: k.strategy,
		Subject: func(r *http.Request) string {
			cookie, err := r.Cookie("session")
			if err != nil {
				return ""
			}
			return cookie.Value
		},
		SignIn: func(w http.ResponseWriter, _ *http.Request, claims *watchword.Claims) error {
			if claims.Subject == "locked" {
				return errors.New("the account is locked")
			}
			http.SetCookie(w, &http.Cookie{Name: "session", Value: claims.Subject, Path: "/"})
			return nil
		}}
	for _, c := range change {
		c(&cfg)
	}
	h, err := NewHandler(cfg)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/passkeys/", h)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	k.url = server.URL
	return k
}

// A person uses the app with a browser, in which the session of a subject was begun by other means; empty: nobody is signed in.
type person struct {
	t      *testing.T
	url    string
	client *http.Client
}

func (k *handlerKit) newPerson(t *testing.T, subject string) *person {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &person{t, k.url, &http.Client{Jar: jar}}
	if subject != "" {
		req, err := http.NewRequest(http.MethodGet, k.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		jar.SetCookies(req.URL, []*http.Cookie{{Name: "session", Value: subject, Path: "/"}})
	}
	return p
}

// A handlerReply is a reply as the module of the page sees it.
type handlerReply struct {
	status                    int
	Challenge, Code           string
	RetryAfter                int `json:"retry_after"`
	Authenticate, Register    map[string]any
	Signal                    *AcceptedKeys
	contentType, cacheControl string
	retryAfter, setCookie     string
}

func (p *person) post(action, body string) (reply handlerReply) {
	p.t.Helper()
	response, err := p.client.Post(p.url+"/passkeys/"+action, "text/plain", strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(text, &reply)
	}
	if err != nil {
		p.t.Fatalf("%v: %s", err, text)
	}
	reply.status, reply.contentType, reply.retryAfter = response.StatusCode, response.Header.Get("Content-Type"), response.Header.Get("Retry-After")
	reply.cacheControl, reply.setCookie = response.Header.Get("Cache-Control"), response.Header.Get("Set-Cookie")
	return reply
}

// answer answers a step with a device, as passkeys.js does.
func (p *person) answer(action string, step handlerReply, d *device) handlerReply {
	p.t.Helper()
	member, text := "authenticate", ""
	if step.Register != nil {
		member, text = "register", d.create(step.Register)
	} else {
		text = d.get(step.Authenticate)
	}
	return p.post(action, `{"challenge": "`+step.Challenge+`", "`+member+`": `+text+`}`)
}

// want ends the test unless a reply has a status and a code.
func (r handlerReply) want(t *testing.T, status int, code string) handlerReply {
	t.Helper()
	if r.status != status || r.Code != code || r.contentType != "application/json" || r.cacheControl != "no-store" {
		t.Fatalf("%+v, want %d %s", r, status, code)
	}
	return r
}

func TestHandlerAddsUsesAndRemovesPasskeys(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t, func(c *HandlerConfig) {
		c.Account = func(_ context.Context, subject string) string { return subject + "@example.com" }
	})
	ann, first, second := k.newPerson(t, "ann"), newDevice(t), newDevice(t)
	step := ann.post("add", "").want(t, 200, "")
	if step.Register["user"].(map[string]any)["name"] != "ann@example.com" {
		t.Errorf("the account of the new passkey: %v", step.Register["user"])
	}
	if done := ann.answer("add", step, first).want(t, 200, ""); done.Challenge != "" {
		t.Errorf("after the first passkey: %+v", done)
	}
	step = ann.post("add", "").want(t, 200, "") // the first passkey proves the change
	if step.Authenticate == nil {
		t.Fatalf("a second passkey without a proof: %+v", step)
	}
	step = ann.answer("add", step, first).want(t, 200, "")
	ann.answer("add", step, second).want(t, 200, "")

	again := k.newPerson(t, "")
	step = again.post("sign-in", "").want(t, 200, "")
	if done := again.answer("sign-in", step, second).want(t, 200, ""); !strings.Contains(done.setCookie, "session=ann") {
		t.Errorf("signed in: %+v", done)
	}
	factors, err := k.ListFactors(t.Context(), "ann")
	if err != nil || len(factors) != 2 {
		t.Fatalf("%v, %v", factors, err)
	}
	unwanted := factors[slices.IndexFunc(factors, func(f watchword.Factor) bool { return f.Public["credential_id"] == b64.EncodeToString(first.id) })].ID
	step = again.post("remove?factor="+unwanted, "").want(t, 200, "")
	done := again.answer("remove?factor="+unwanted, step, second).want(t, 200, "")
	if done.Signal == nil || len(done.Signal.CredentialIDs) != 1 || done.Signal.CredentialIDs[0] != b64.EncodeToString(second.id) {
		t.Errorf("accepted keys after the removal: %+v", done.Signal)
	}
	if left, _ := k.ListFactors(t.Context(), "ann"); len(left) != 1 {
		t.Errorf("%d passkeys are left", len(left))
	}
}

func TestHandlerRefuses(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t)
	d, other := newDevice(t), newDevice(t)
	annsKey := k.enrol("ann", d)
	k.enrol("bob", other)
	ann, bob, nobody := k.newPerson(t, "ann"), k.newPerson(t, "bob"), k.newPerson(t, "")
	nobody.post("add", "").want(t, 401, "not_signed_in")
	nobody.post("remove?factor="+annsKey.ID, "").want(t, 401, "not_signed_in")
	bob.post("remove?factor="+annsKey.ID, "").want(t, 404, "unknown_factor")
	bob.post("remove", "").want(t, 404, "unknown_factor")
	for _, body := range []string{"{", `{"challenge": ""}`, `[]`, strings.Repeat(" ", maxAnswerBody) + `{"challenge": "ch_x"}`} {
		nobody.post("sign-in", body).want(t, 400, "invalid_request")
	}
	step := nobody.post("sign-in", "").want(t, 200, "")
	nobody.post("sign-in", `{"challenge": "`+step.Challenge+`"}`).want(t, 400, "invalid_request")
	k.newPerson(t, "").answer("sign-in", step, d).want(t, 404, "unknown_challenge") // of another browser

	forAdding := ann.post("add", "").want(t, 200, "")
	ann.answer("sign-in", forAdding, d).want(t, 400, "invalid_request") // a proof for another purpose signs nobody in
	forBob := bob.post("add", "").want(t, 200, "")
	bob.answer("add", forBob, d).want(t, 422, "incorrect_answer") // a passkey of somebody else proves nothing
	if factors, _ := k.ListFactors(t.Context(), "bob"); len(factors) != 1 {
		t.Errorf("bob has %d passkeys", len(factors))
	}

	k.enrol("locked", newDevice(t))
	locked := newDevice(t)
	k.enrol("locked", locked)
	step = nobody.post("sign-in", "").want(t, 200, "")
	nobody.answer("sign-in", step, locked).want(t, 500, "internal_error") // the app refuses
}

// A challenge is answered in the tab that asked for it, whatever other tabs have asked for since.
func TestHandlerRemembersChallengesOfSeveralTabs(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t)
	d := newDevice(t)
	k.enrol("ann", d)
	p := k.newPerson(t, "")
	first := p.post("sign-in", "").want(t, 200, "")
	for range maxChallenges - 1 {
		p.post("sign-in", "").want(t, 200, "")
	}
	p.answer("sign-in", first, d).want(t, 200, "")
	for range maxChallenges {
		p.post("sign-in", "")
	}
	p.answer("sign-in", first, d).want(t, 404, "unknown_challenge")
}

// The authority of the session is enough where it suffices.
func TestHandlerUsesAuthorityOfTheSession(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t, func(c *HandlerConfig) {
		c.Authority = func(*http.Request) watchword.Authority { return watchword.Authority{Admin: true} }
	})
	f := k.enrol("ann", newDevice(t))
	ann := k.newPerson(t, "ann")
	if step := ann.post("add", "").want(t, 200, ""); step.Register == nil {
		t.Errorf("add: %+v", step)
	}
	if done := ann.post("remove?factor="+f.ID, "").want(t, 200, ""); done.Signal == nil {
		t.Errorf("remove: %+v", done)
	}
}

// refusingLimiter refuses every start.
type refusingLimiter struct{}

func (l refusingLimiter) Take(context.Context, ...watchword.Bucket) error {
	return &watchword.LimitError{Rule: "tight", RetryAfter: 1500 * time.Millisecond}
}

func TestHandlerReportsLimitsAndFailures(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t)
	limited := k.config
	limited.Starts = refusingLimiter{}
	engine, err := watchword.New(limited)
	if err != nil {
		t.Fatal(err)
	}
	k = newHandlerKit(t, func(c *HandlerConfig) { c.Engine = engine })
	reply := k.newPerson(t, "").post("sign-in", "").want(t, 429, "rate_limited")
	if reply.RetryAfter != 2 || reply.retryAfter != "2" {
		t.Errorf("%+v", reply)
	}
}

func TestHandlerServesScriptsAndRefusesOtherRequests(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t)
	for _, c := range []struct {
		method, path, origin string
		status               int
		text                 string
	}{
		{"GET", "/passkeys/passkeys.js", "", 200, `from "./webauthn.js"`},
		{"GET", "/passkeys/webauthn.js", "", 200, "export async function autofill"},
		{"GET", "/passkeys/sign-in", "", 405, ""},
		{"POST", "/passkeys/", "", 404, ""},
		{"POST", "/passkeys/other", "", 404, ""},
		{"POST", "/passkeys/sign-in", "https://evil.example", 403, "cross_origin"},
		{"POST", "/passkeys/add", "null", 403, "cross_origin"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), c.method, k.url+c.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if c.origin != "" {
			req.Header.Set("Origin", c.origin)
		}
		response, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != c.status || !bytes.Contains(text, []byte(c.text)) {
			t.Errorf("%s %s: %d %s", c.method, c.path, response.StatusCode, text)
		}
	}
}

// With origins that are https alone, the cookie is Secure.
func TestHandlerProtectsItsCookie(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	h, err := NewHandler(HandlerConfig{Engine: k.Engine, Keys: k.strategy, Subject: func(*http.Request) string { return "" },
		SignIn: func(http.ResponseWriter, *http.Request, *watchword.Claims) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/account/passkeys/sign-in", nil))
	for _, want := range []string{"; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/account/passkeys;", "; Max-Age=300"} {
		if cookie := w.Header().Get("Set-Cookie"); !strings.Contains(cookie, want) {
			t.Errorf("%d, cookie %q without %q", w.Code, cookie, want)
		}
	}
}

func TestNewHandlerNeedsItsParts(t *testing.T) {
	t.Parallel()
	if _, err := NewHandler(HandlerConfig{Engine: newKit(t).Engine}); err == nil {
		t.Error("a handler without sessions")
	}
}

// Requests of tabs that are sent at the same time forget no challenge, whichever reply the browser reads last.
func TestHandlerRemembersChallengesOfSimultaneousRequests(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t)
	d := newDevice(t)
	k.enrol("ann", d)
	p, other := k.newPerson(t, ""), k.newPerson(t, "")
	first, second := p.post("sign-in", "").want(t, 200, ""), other.post("sign-in", "").want(t, 200, "")
	page, err := url.Parse(k.url + "/passkeys/sign-in")
	if err != nil {
		t.Fatal(err)
	}
	p.client.Jar.SetCookies(page, other.client.Jar.Cookies(page)) // the reply to the second request, which carried no cookie
	p.answer("sign-in", first, d).want(t, 200, "")
	p.answer("sign-in", second, d).want(t, 200, "")
}

// Members are read strictly, so that no two parsers read a request differently.
func TestHandlerRefusesAmbiguousRequests(t *testing.T) {
	t.Parallel()
	k := newHandlerKit(t)
	d := newDevice(t)
	k.enrol("ann", d)
	p := k.newPerson(t, "")
	step := p.post("sign-in", "").want(t, 200, "")
	answer := d.get(step.Authenticate)
	for name, body := range map[string]string{
		"a member twice":         `{"challenge": "ch_x", "challenge": "` + step.Challenge + `", "authenticate": ` + answer + `}`,
		"a member in other case": `{"Challenge": "` + step.Challenge + `", "authenticate": ` + answer + `}`,
		"a second document":      `{"challenge": "` + step.Challenge + `", "authenticate": ` + answer + `} {}`,
		"a list":                 `{"challenge": ["` + step.Challenge + `"], "authenticate": ` + answer + `}`,
		"null":                   `null`,
		"null for an answer":     `{"challenge": "` + step.Challenge + `", "authenticate": null}`,
		"a number":               `{"challenge": "` + step.Challenge + `", "authenticate": 123456}`,
		"a text":                 `{"challenge": "` + step.Challenge + `", "authenticate": "123456"}`,
		"deep nesting":           strings.Repeat("[", maxAnswerBody-1),
	} {
		if reply := p.post("sign-in", body); reply.status != 400 || reply.Code != "invalid_request" || reply.setCookie != "" {
			t.Errorf("%s: %+v", name, reply)
		}
	}
	p.post("sign-in", `{"challenge": "`+step.Challenge+`", "authenticate": `+answer+`}`).want(t, 200, "") // it cost no try
}

// Limits count a client by its address, also a link-local one.
func TestHandlerAcceptsLinkLocalClients(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	h, err := NewHandler(HandlerConfig{Engine: k.Engine, Keys: k.strategy, Subject: func(*http.Request) string { return "" },
		SignIn: func(http.ResponseWriter, *http.Request, *watchword.Claims) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/passkeys/sign-in", nil)
	r.RemoteAddr = "[fe80::1%eth0]:4711"
	if h.ServeHTTP(w, r); w.Code != http.StatusOK {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// The handler removes passkeys and nothing else.
func TestHandlerRemovesPasskeysOnly(t *testing.T) {
	t.Parallel()
	more := newKit(t).config
	more.Strategies = append(slices.Clone(more.Strategies), recovery.New())
	engine, err := watchword.New(more)
	if err != nil {
		t.Fatal(err)
	}
	k := newHandlerKit(t, func(c *HandlerConfig) {
		c.Engine = engine
		c.Authority = func(*http.Request) watchword.Authority { return watchword.Authority{Admin: true} }
	})
	s, err := engine.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: watchword.PurposeEnrol, Subject: "ann", Authority: watchword.Authority{Admin: true}})
	if err != nil {
		t.Fatal(err)
	}
	codes, _ := s.Public["codes"].([]string)
	result, err := engine.Check(t.Context(), s.ID, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: "ann", Answer: watchword.AnswerCode(codes[0])})
	if err != nil {
		t.Fatal(err)
	}
	k.newPerson(t, "ann").post("remove?factor="+result.Factor.ID, "").want(t, 404, "unknown_factor")
	if factors, _ := engine.ListFactors(t.Context(), "ann"); len(factors) != 1 {
		t.Errorf("%d factors are left", len(factors))
	}
}
