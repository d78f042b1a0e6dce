package node_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

// A right answer for one purpose does nothing for another: the session knows what was asked, and the receipt is compared with it.
func testVerificationForAnotherPurpose(t *testing.T, s *site) {
	v := newVisitor(t, s)
	before := len(s.messages(ann))
	page := v.page("/password", "email", ann, "password", annsPassword)
	code := s.message(ann, before+1).Code
	v.page("/forgot", "email", ann, "password", "another password") // replaces what the session has asked
	if v.get(v.answer(page, code)); v.isSignedIn() {
		t.Error("a verification that the session has replaced signs in")
	}
	if res := newVisitor(t, s).post("/password", "email", ann, "password", "another password"); !strings.Contains(res.text, "is wrong") {
		t.Errorf("a second step has changed the password: %s", res.text)
	}
}

func testFormOfAnotherOrigin(t *testing.T, s *site) {
	v := newVisitor(t, s)
	v.signIn("bob5@example.com")
	for _, origin := range []string{"https://evil.example", "null", s.url + ".evil.example", strings.Replace(s.url, "localhost", "LOCALHOST.evil", 1), ""} {
		for _, path := range []string{"/sign-out", "/sign-in", "/sign-in/passkey", "/factors", "/password", "/forgot"} {
			if res := v.postFrom(origin, path, "email", "stranger@example.com", "add", "totp"); res.StatusCode != http.StatusForbidden {
				t.Errorf("%s from %q: %d", path, origin, res.StatusCode)
			}
		}
	}
	if !v.isSignedIn() {
		t.Error("a form of another origin has signed the person out")
	}
}

// Redirects lead to fixed paths of the example, and to the page that the server names, whatever the request has.
func testOpenRedirect(t *testing.T, s *site) {
	v := newVisitor(t, s)
	const evil = "https://evil.example/"
	for _, path := range []string{"/done?next=" + evil, "/done?return_url=" + evil + "&verification=vf_1", "/factors/done?next=" + evil, "//evil.example/..", "/%2f%2fevil.example", "/\\evil.example"} {
		if res := v.get(s.url + path); strings.Contains(res.Header.Get("Location"), "evil") || strings.Contains(res.Request.URL.Host, "evil") {
			t.Errorf("%s leads to %s", path, res.Header.Get("Location"))
		}
	}
	page := v.page("/sign-in?return_url="+evil, "email", "bob6@example.com", "method", "code", "next", evil, "return_url", evil)
	if next := v.answer(page, s.message("bob6@example.com", 1).Code); !strings.HasPrefix(next, s.url+"/done?") {
		t.Errorf("watchword's page leads to %s", next)
	}
}

// What Express cannot read is the fault of who has sent it: no error of the app, and no line in its log.
func testUnreadableForm(t *testing.T, s *site) {
	v := newVisitor(t, s)
	if res := v.post("/password", "email", strings.Repeat("a", 5000)); res.StatusCode != http.StatusRequestEntityTooLarge || !strings.Contains(res.text, "cannot be read") {
		t.Errorf("a long form: %d %s", res.StatusCode, res.text)
	}
	long := bytes.NewReader(make([]byte, 70_000))
	res, err := http.Post(s.url+"/events", "application/json", long)
	must(t, err)
	must(t, res.Body.Close())
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a long event: %d", res.StatusCode)
	}
}

// A reset for an address that nobody has looks the same, sends nothing and changes nothing.
func testUnknownAddress(t *testing.T, s *site) {
	v := newVisitor(t, s)
	v.page("/forgot", "email", "nobody7@example.com", "password", "battery staple")
	wrong := func(email string) string {
		return strings.ReplaceAll(v.post("/password", "email", email, "password", "guessed").text, email, "")
	}
	if wrong(ann) != wrong("nobody7@example.com") {
		t.Error("the page of a wrong password differs for an address that nobody has")
	}
	v.signIn("bob7@example.com") // an earlier message would have arrived too
	if n := len(s.messages("nobody7@example.com")); n > 0 {
		t.Errorf("%d messages were sent to an address that nobody has", n)
	}
	if res := v.post("/sign-in", "email", `"><b>x</b>`, "method", "code"); res.StatusCode != http.StatusBadRequest || strings.Contains(res.text, "<b>") {
		t.Errorf("what is no address: %d %s", res.StatusCode, res.text)
	}
}

// A reset ends the sessions of whoever knew the old password, and those that wait for a second step.
func testSessionsAfterReset(t *testing.T, s *site) {
	const email = "bob8@example.com"
	intruder, owner := newVisitor(t, s), newVisitor(t, s)
	intruder.signIn(email)
	page := owner.page("/forgot", "email", email, "password", "battery staple")
	next := owner.answer(page, s.message(email, 2).Code)
	if intruder.get(next); !intruder.isSignedIn() {
		t.Error("coming back from another's reset changes something")
	}
	if res := owner.get(next); !strings.Contains(res.text, "Your password was changed") {
		t.Fatalf("the password was not changed: %s", res.text)
	}
	if intruder.isSignedIn() || owner.isSignedIn() {
		t.Error("a session outlives the reset")
	}
	if res := owner.get(next); strings.Contains(res.text, "Your password was changed") {
		t.Error("the reset happens twice")
	}
}

func testFactorWithoutProof(t *testing.T, s *site) {
	v := newVisitor(t, s)
	if res := v.post("/factors", "add", "totp"); !strings.Contains(res.text, "Sign in") {
		t.Errorf("nobody adds a factor: %s", res.text)
	}
	v.signIn("bob9@example.com")
	for _, form := range [][]string{{"add", "otp"}, {"add", "__proto__"}, {}} {
		if res := v.post("/factors", form...); res.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", form, res.StatusCode)
		}
	}
	page := v.page("/factors", "add", "totp")
	if res := v.get("/factors/done?challenge=" + page.id() + "&return_code=guessed"); !strings.Contains(res.text, "not confirmed in this browser") {
		t.Errorf("an enrolment without its return code: %s", res.text)
	}
}

// An event that the server has signed shows once, however often it comes. A changed one is refused, and so is one signed by others.
func testEvents(t *testing.T, s *site) {
	v := newVisitor(t, s)
	endpoint, posted := recordEvents(t, s)
	send := func(headers http.Header, body string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/events", strings.NewReader(body))
		must(t, err)
		r.Header = headers
		res, err := http.DefaultClient.Do(r)
		must(t, err)
		must(t, res.Body.Close())
		return res.StatusCode
	}
	dispatch(t, endpoint+eventSecret, watchword.EventFactorEnrolled)
	e := <-posted
	unsigned := http.Header{"Content-Type": e.headers["Content-Type"]}
	for _, c := range []struct {
		what    string
		headers http.Header
		body    string
		want    int
	}{
		{"a repetition", e.headers, e.body, http.StatusNoContent},
		{"a changed event", e.headers, strings.Replace(e.body, "user_1", "user_2", 1), http.StatusBadRequest},
		{"an event without a signature", unsigned, e.body, http.StatusBadRequest},
	} {
		if status := send(c.headers, c.body); status != c.want {
			t.Errorf("%s: %d, want %d", c.what, status, c.want)
		}
	}
	dispatch(t, endpoint+"whsec_b3RoZXIgc2VjcmV0IG9mIGFuIGVuZHBvaW50", watchword.EventFactorRemoved)
	if e := <-posted; send(e.headers, e.body) != http.StatusBadRequest {
		t.Error("an event of somebody else is accepted")
	}

	before := len(s.messages(ann))
	page := v.page("/password", "email", ann, "password", annsPassword)
	account := v.get(v.answer(page, s.message(ann, before+1).Code)).text
	if n := strings.Count(account, "A second step was set up."); n != 1 || strings.Contains(account, "was removed") {
		t.Errorf("the account shows the event %d times:\n%s", n, account)
	}
}

// A postedEvent is a request to the endpoint of events.
type postedEvent struct {
	headers http.Header
	body    string
}

// recordEvents returns the URL of an endpoint, but for its secret, that passes everything on to the example's, and what was passed on.
func recordEvents(t *testing.T, s *site) (endpoint string, posted <-chan postedEvent) {
	t.Helper()
	target, err := url.Parse(s.url)
	must(t, err)
	recorded := make(chan postedEvent, 10)
	proxy := httputil.NewSingleHostReverseProxy(target)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		headers := r.Header.Clone()
		r.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, r)
		recorded <- postedEvent{headers, string(body)}
	}))
	t.Cleanup(server.Close)
	return "webhook+" + server.URL + "/events?secret=", recorded
}

// dispatch posts an event about ann as the server does.
func dispatch(t *testing.T, endpoint, kind string) {
	t.Helper()
	d, err := webhook.NewDispatcher(webhook.DispatcherConfig{Endpoints: []webhook.Endpoint{{URL: watchword.NewCode(endpoint)}}, Environment: delivery.Environment{Development: true}})
	must(t, err)
	go func() { _ = d.Run(t.Context()) }()
	d.HandleEvent(t.Context(), watchword.Event{Type: kind, At: time.Now(), App: "dev", ChallengeID: "ch_1", Subject: "user_1"})
}
