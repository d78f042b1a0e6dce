package main

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// startInProcess starts a development server inside the test, with changed settings.
func startInProcess(t *testing.T, change func(*settings)) *node {
	t.Helper()
	n, _ := startInProcessWithEngines(t, change)
	return n
}

// startInProcessWithEngines also returns the engines, in the order of the apps.
func startInProcessWithEngines(t *testing.T, change func(*settings)) (*node, []*watchword.Engine) {
	t.Helper()
	n := &node{t: t, log: &syncBuffer{}}
	var c checker
	s := c.developmentSettings(fileConfig{DataDir: t.TempDir()})
	s.apps[0].publicURL, s.apps[0].rpID = "https://verify.example.com", ""
	change(&s)
	svc, problems := build(t.Context(), s, slog.New(slog.NewJSONHandler(n.log, nil)), nil, nil)
	if problems = append(c.problems, problems...); len(problems) > 0 {
		t.Fatal(problems)
	}
	tasks := newServiceTasks(slog.New(slog.NewJSONHandler(n.log, nil)))
	tasks.start(svc)
	web := httptest.NewServer(svc.handler)
	t.Cleanup(func() {
		web.Close()
		tasks.stop()
		if err := svc.storage.close(); err != nil {
			t.Error(err)
		}
	})
	n.url = web.URL
	return n, svc.engines
}

// A fakeTwilio accepts a message for each value in release, and sends delivery reports.
type fakeTwilio struct {
	*httptest.Server
	release   chan struct{}
	callbacks chan string // the StatusCallback of each message
}

const twilioToken = "tokentokentoken"

func newFakeTwilio(t *testing.T) *fakeTwilio {
	f := &fakeTwilio{release: make(chan struct{}, 10), callbacks: make(chan string, 10)}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		f.callbacks <- r.PostForm.Get("StatusCallback")
		<-f.release
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid": "SM1"}`)
	}))
	t.Cleanup(f.Close)
	return f
}

// report sends n the report that Twilio would send to the callback URL, signed with a token over a URL. It returns the status.
func (f *fakeTwilio) report(n *node, callback, signed, token, status string) int {
	n.t.Helper()
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {status}}
	mac := hmac.New(sha1.New, []byte(token))
	_, _ = mac.Write([]byte(signed + "MessageSidSM1" + "MessageStatus" + status))
	req, err := http.NewRequest("POST", strings.Replace(callback, "https://verify.example.com", n.url, 1), strings.NewReader(form.Encode()))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	_ = res.Body.Close()
	return res.StatusCode
}

// A delivery report is accepted only with a signature for its message. It never moves the status back.
func TestDeliveryReportNeedsSignatureAndNeverMovesStatusBack(t *testing.T) {
	f := newFakeTwilio(t)
	n := startInProcess(t, func(s *settings) {
		s.apps[0].send["sms"] = []senderSettings{{"send.sms[0]", watchword.NewCode("twilio://AC1:" + twilioToken + "@/?from=%2B14155550100&base_url=" + url.QueryEscape(f.URL))}}
	})
	sms := func(to, subject string) func(object) {
		return func(o object) { o["channel"], o["to"], o["subject"] = "sms", to, subject }
	}
	id := n.start(sms("+14155550123", "a")).str("id")
	callback := <-f.callbacks
	if !strings.HasPrefix(callback, "https://verify.example.com/callbacks/dev/") || !strings.HasSuffix(callback, "/"+id+"/1/sms") {
		t.Fatalf("the callback URL is %q", callback)
	}
	waitFor(t, "queued <nil>", func() string { return n.deliveryStatus(id) })
	f.release <- struct{}{}
	waitFor(t, "sent twilio", func() string { return n.deliveryStatus(id) })

	other := n.start(sms("+14155550124", "b")).str("id")
	otherCallback := <-f.callbacks
	f.release <- struct{}{}
	waitFor(t, "sent twilio", func() string { return n.deliveryStatus(other) })

	for name, status := range map[string]int{
		"forged":                     f.report(n, callback, callback, "another token", "delivered"),
		"another challenge's":        f.report(n, callback, otherCallback, twilioToken, "delivered"),
		"URL without the public URL": f.report(n, callback, strings.Replace(callback, "https://verify.example.com", n.url, 1), twilioToken, "delivered"),
	} {
		if status != http.StatusForbidden || n.deliveryStatus(id) != "sent twilio" {
			t.Errorf("%s: answered %d; the status is %s", name, status, n.deliveryStatus(id))
		}
	}
	for _, status := range []string{"delivered", "sent", "sending", "undelivered", "delivered"} {
		if code := f.report(n, callback, callback, twilioToken, status); code != http.StatusNoContent || n.deliveryStatus(id) != "delivered twilio" {
			t.Errorf("%s: answered %d; the status is %s", status, code, n.deliveryStatus(id))
		}
	}
	if got := n.deliveryStatus(other); got != "sent twilio" {
		t.Errorf("the other challenge's status is %s", got)
	}
	unknown := strings.Replace(callback, id, id[:len(id)-8]+"AAAAAAAA", 1)
	if code := f.report(n, unknown, unknown, twilioToken, "delivered"); code != http.StatusNoContent {
		t.Errorf("report of an unknown challenge: answered %d", code)
	}
	if log := n.log.String(); strings.Contains(log, twilioToken) {
		t.Error("the token is in the log")
	}
}

// Senders get a callback URL only if the public URL is https, so that the provider can reach it.
func TestSenderGetsNoCallbackURLWithoutHTTPS(t *testing.T) {
	f := newFakeTwilio(t)
	n := startInProcess(t, func(s *settings) {
		s.apps[0].publicURL = "http://localhost:8080"
		s.apps[0].send["sms"] = []senderSettings{{"send.sms[0]", watchword.NewCode("twilio://AC1:" + twilioToken + "@/?from=%2B14155550100&base_url=" + url.QueryEscape(f.URL))}}
	})
	n.start(func(o object) { o["channel"], o["to"] = "sms", "+14155550123" })
	f.release <- struct{}{}
	if callback := <-f.callbacks; callback != "" {
		t.Errorf("the callback URL is %q", callback)
	}
}

// No two senders share a callback URL. Senders that take no reports have no route.
func TestSendersGetDistinctCallbackURLs(t *testing.T) {
	sender := func(path, url string) senderSettings { return senderSettings{path, watchword.NewCode(url)} }
	twilio := "twilio://AC1:" + twilioToken + "@/?from=%2B14155550100"
	b := newBuilder(settings{}, slog.New(slog.DiscardHandler))
	callbacks := newCallbacks(appSettings{id: "shop", publicURL: "https://verify.example.com"})
	app := appSettings{send: map[string][]senderSettings{"sms": {sender("send.sms[0]", twilio), sender("send.sms[1]", twilio)}, "voice": {sender("send.voice[0]", twilio)},
		"email": {sender("send.email[0]", "smtps://mail.example.com?from=noreply@example.com")},
		"whatsapp": {sender("send.whatsapp[0]", "webhook+https://example.com/?secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
			sender("send.whatsapp[1]", "webhook+https://example.com/?format=clerk&secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")}}}
	if _, _, err := b.openSenders(app, senderProviders(newInbox()), callbacks); err != nil {
		t.Fatal(err)
	}
	account, webhooks := senderIDs(app.send["sms"]), senderIDs(app.send["whatsapp"])
	want := []string{"POST /callbacks/shop/sms/" + account[0] + "/", "POST /callbacks/shop/sms/" + account[1] + "/",
		"POST /callbacks/shop/voice/" + account[0] + "/", "POST /callbacks/shop/whatsapp/" + webhooks[0] + "/"}
	slices.Sort(want)
	got := make([]string, 0, len(want))
	for pattern := range callbacks.routes {
		got = append(got, pattern)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("routes %v", got)
	}
}
