package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/ratelimit"
)

// A reportingReceiver is an app's own sender. It takes every message over and can report what became of it.
type reportingReceiver struct {
	*httptest.Server
	secret string

	mu       sync.Mutex
	messages []reportedMessage
}

type reportedMessage struct {
	MessageID   string `json:"message_id"`
	ChallengeID string `json:"challenge_id"`
	Code        string `json:"code"`
	ReportURL   string `json:"report_url"`
}

func startReportingReceiver(t *testing.T, secret string, start func(http.Handler) *httptest.Server) *reportingReceiver {
	r := &reportingReceiver{secret: secret}
	r.Server = start(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var in struct{ Data reportedMessage }
		if !readSent(t, req, &in) {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.messages = append(r.messages, in.Data)
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *reportingReceiver) settings(position int) senderSettings {
	return senderSettings{fmt.Sprintf("send.sms[%d]", position), watchword.NewCode(r.senderURL())}
}

func (r *reportingReceiver) senderURL() string { return "webhook+" + r.URL + "/?secret=" + r.secret }

// of returns the messages of a challenge.
func (r *reportingReceiver) of(id string) (found []reportedMessage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range r.messages {
		if m.ChallengeID == id {
			found = append(found, m)
		}
	}
	return found
}

// waitFor returns the first message of a challenge.
func (r *reportingReceiver) waitFor(t testing.TB, id string) reportedMessage {
	t.Helper()
	waitFor(t, "1", func() string { return strconv.Itoa(len(r.of(id))) })
	return r.of(id)[0]
}

// A signedReport is a report of a receiver. Its zero fields are filled in as for a valid report.
type signedReport struct {
	body   string
	url    string
	id     string
	secret string
	at     time.Time
}

// post posts a report about a message, and returns the status.
func (r *reportingReceiver) post(n *node, m reportedMessage, report signedReport) int {
	n.t.Helper()
	for field, fallback := range map[*string]string{&report.body: `{"status": "delivered"}`, &report.url: m.ReportURL, &report.id: m.MessageID, &report.secret: r.secret} {
		if *field == "" {
			*field = fallback
		}
	}
	if report.at.IsZero() {
		report.at = time.Now()
	}
	secret, err := webhook.ParseSecret(report.secret)
	if err != nil {
		n.t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, strings.Replace(report.url, "https://verify.example.com", n.url, 1), strings.NewReader(report.body))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Webhook-Id", report.id)
	req.Header.Set("Webhook-Timestamp", strconv.FormatInt(report.at.Unix(), 10))
	req.Header.Set("Webhook-Signature", webhook.Sign([]webhook.Secret{secret}, report.id, report.at, []byte(report.body)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	_ = res.Body.Close()
	return res.StatusCode
}

const (
	firstSecret  = "whsec_Wk0k6eKK29JxVqMVKTdvHDMOAjlrAo0Y"
	secondSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	negative     = `{"status": "failed", "reason": "absent subscriber"}`
)

// noReportAfter is how long a failoverServer waits for a report.
const noReportAfter = 5 * time.Second

// A failoverServer is a server whose channel sms has two senders that report deliveries.
type failoverServer struct {
	*node
	first, second *reportingReceiver
}

func startFailoverServer(t *testing.T, change func(*settings)) failoverServer {
	t.Helper()
	s := failoverServer{first: startReportingReceiver(t, firstSecret, httptest.NewServer), second: startReportingReceiver(t, secondSecret, httptest.NewServer)}
	s.node = startInProcess(t, func(all *settings) {
		all.apps[0].send["sms"] = []senderSettings{s.first.settings(0), s.second.settings(1)}
		all.apps[0].noReportAfter = map[string]time.Duration{"sms": noReportAfter}
		change(all)
	})
	return s
}

// startSent starts a challenge by SMS and waits until the first sender has taken its message over.
func (s failoverServer) startSent(to string) (id string, m reportedMessage) {
	s.t.Helper()
	id = s.start(func(o object) { o["channel"], o["to"], o["subject"] = "sms", to, "user of "+to }).str("id")
	m = s.first.waitFor(s.t, id)
	waitFor(s.t, "sent webhook", func() string { return s.deliveryStatus(id) })
	return id, m
}

// answer checks the code of a challenge that startSent has started.
func (s failoverServer) answer(id, to, code string) reply {
	s.t.Helper()
	return s.call("POST", "/v1/challenges/"+id+"/check", object{"purpose": "sign_in", "subject": "user of " + to, "answer": code})
}

func unchanged(*settings) {}

// A report counts only with a signature of its sender, for its message, and of these minutes.
func TestWebhookReportsAreRefusedUnlessAuthentic(t *testing.T) {
	t.Parallel()
	s := startFailoverServer(t, unchanged)
	id, m := s.startSent("+14155550123")
	other, otherMessage := s.startSent("+14155550124")
	ids := senderIDs([]senderSettings{s.first.settings(0), s.second.settings(1)})
	forgedURL := m.ReportURL[:strings.LastIndexByte(m.ReportURL, '/')]
	for name, c := range map[string]struct {
		report signedReport
		status int
	}{
		"another secret":                    {signedReport{secret: secondSecret}, http.StatusForbidden},
		"replayed at another message's URL": {signedReport{url: otherMessage.ReportURL}, http.StatusForbidden},
		"replayed later":                    {signedReport{at: time.Now().Add(-6 * time.Minute)}, http.StatusForbidden},
		"from the future":                   {signedReport{at: time.Now().Add(6 * time.Minute)}, http.StatusForbidden},
		"another id":                        {signedReport{id: otherMessage.MessageID}, http.StatusForbidden},
		"a URL without its code":            {signedReport{url: forgedURL}, http.StatusNotFound},
		"a URL with another code":           {signedReport{url: forgedURL + "/AAAAAAAAAAAAAAAAAAAAAA"}, http.StatusForbidden},
		"a URL of another send":             {signedReport{url: strings.Replace(m.ReportURL, "/1/sms/", "/2/sms/", 1)}, http.StatusForbidden},
		"the URL of the other sender":       {signedReport{url: strings.Replace(m.ReportURL, "/"+ids[0]+"/", "/"+ids[1]+"/", 1)}, http.StatusForbidden},
		"an unknown status":                 {signedReport{body: `{"status": "read"}`}, http.StatusBadRequest},
		"an unknown field":                  {signedReport{body: `{"status": "delivered", "to": "+1"}`}, http.StatusBadRequest},
		"two documents":                     {signedReport{body: `{"status": "delivered"}{}`}, http.StatusBadRequest},
		"a body of 20 KiB":                  {signedReport{body: `{"status": "delivered", "reason": "` + strings.Repeat("x", 20<<10) + `"}`}, http.StatusBadRequest},
	} {
		if status := s.first.post(s.node, m, c.report); status != c.status {
			t.Errorf("%s: answered %d, want %d", name, status, c.status)
		}
	}
	for _, challenge := range []string{id, other} {
		if got := s.deliveryStatus(challenge); got != "sent webhook" {
			t.Errorf("the status is %s", got)
		}
	}
}

// Reports may be repeated and come in any order. The status never goes back.
func TestWebhookReportsNeverMoveStatusBack(t *testing.T) {
	t.Parallel()
	s := startFailoverServer(t, func(all *settings) { all.apps[0].noReportAfter = nil })
	id, m := s.startSent("+14155550123")
	for _, c := range []struct{ body, status string }{
		{negative, "failed webhook"}, {negative, "failed webhook"}, {"", "delivered webhook"}, {negative, "delivered webhook"}, {"", "delivered webhook"},
	} {
		if code := s.first.post(s.node, m, signedReport{body: c.body}); code != http.StatusNoContent || s.deliveryStatus(id) != c.status {
			t.Errorf("%q: answered %d; the status is %s, want %s", c.body, code, s.deliveryStatus(id), c.status)
		}
	}
	if n := len(s.second.of(id)); n != 0 {
		t.Errorf("%d messages of the second sender without failover", n)
	}
}

// A negative report moves the message to the next sender, once, with the same id and the same code.
func TestNegativeReportFailsOverOnceWithTheSameCode(t *testing.T) {
	t.Parallel()
	for name, storage := range map[string]func() string{"memory": func() string { return memoryURL }, "redis": func() string { return redistest.Start(t).URL() }} {
		t.Run(name, func(t *testing.T) {
			s := startFailoverServer(t, func(all *settings) { all.redis = watchword.NewCode(storage()) })
			id, m := s.startSent("+14155550123")
			codes := runConcurrently(5, func(int) string { return strconv.Itoa(s.first.post(s.node, m, signedReport{body: negative})) })
			if codes["204"] != 5 {
				t.Errorf("answers %v", codes)
			}
			moved := s.second.waitFor(t, id)
			if moved.MessageID != m.MessageID || moved.Code != m.Code || moved.ReportURL == m.ReportURL {
				t.Errorf("the second sender got %+v, the first one %+v", moved, m)
			}
			if got := s.deliveryStatus(id); got != "sent webhook" {
				t.Errorf("the status went back to %s", got)
			}
			// The second sender fails too. There is no third, and no way back to the first.
			s.waitForStatus(id, "failed webhook", func() { s.second.post(s.node, moved, signedReport{body: negative}) })
			s.first.post(s.node, m, signedReport{body: negative})
			if len(s.first.of(id)) != 1 || len(s.second.of(id)) != 1 {
				t.Errorf("%d and %d messages", len(s.first.of(id)), len(s.second.of(id)))
			}
			// A later report of the first sender still shows.
			s.first.post(s.node, m, signedReport{})
			if got := s.deliveryStatus(id); got != "delivered webhook" {
				t.Errorf("the status is %s", got)
			}
			if r := s.answer(id, "+14155550123", m.Code); r.status != http.StatusOK {
				t.Errorf("the code is answered %d %s", r.status, r.text)
			}
		})
	}
}

// waitForStatus repeats an action until the delivery has a status: the outcome of a send is recorded a moment later.
func (s failoverServer) waitForStatus(id, status string, action func()) {
	s.t.Helper()
	waitFor(s.t, status, func() string {
		action()
		return s.deliveryStatus(id)
	})
}

// A report that is faster than the record of the send counts too.
func TestNegativeReportBeforeOutcomeFailsOver(t *testing.T) {
	t.Parallel()
	s := startFailoverServer(t, unchanged)
	id := s.start(func(o object) { o["channel"], o["to"] = "sms", "+14155550123" }).str("id")
	m := s.first.waitFor(t, id)
	s.first.post(s.node, m, signedReport{body: negative})
	if moved := s.second.waitFor(t, id); moved.Code != m.Code {
		t.Errorf("the second sender got %+v, the first one %+v", moved, m)
	}
	waitFor(t, "sent webhook", func() string { return s.deliveryStatus(id) })
}

// Silence moves a message after the configured time, unless it was reported, answered or canceled meanwhile.
func TestMissingReportFailsOverAfterTheTime(t *testing.T) {
	t.Parallel()
	for name, storage := range map[string]func() string{"memory": func() string { return memoryURL }, "redis": func() string { return redistest.Start(t).URL() }} {
		t.Run(name, func(t *testing.T) {
			s := startFailoverServer(t, func(all *settings) { all.redis = watchword.NewCode(storage()) })
			// These are settled in time, and sent before the silent one, so that silence would move them before it.
			delivered := s.startSettled("+1415555013", func(_, _ string, m reportedMessage) { s.first.post(s.node, m, signedReport{}) })
			answered := s.startSettled("+1415555014", func(id, to string, m reportedMessage) {
				if r := s.answer(id, to, m.Code); r.status != http.StatusOK {
					t.Fatalf("check: %d %s", r.status, r.text)
				}
			})
			canceled := s.startSettled("+1415555015", func(id, _ string, _ reportedMessage) { s.call("POST", "/v1/challenges/"+id+"/cancel", object{}) })
			began := time.Now()
			silent, m := s.startSent("+14155550120")
			moved := s.second.waitFor(t, silent)
			if waited := time.Since(began); waited < noReportAfter || moved.Code != m.Code || moved.MessageID != m.MessageID {
				t.Errorf("after %s the second sender got %+v, the first one %+v", waited, moved, m)
			}
			time.Sleep(500 * time.Millisecond) // for messages that are sent at the same time
			for _, id := range []string{delivered, answered, canceled} {
				if n := len(s.second.of(id)); n != 0 {
					t.Errorf("%d messages of a challenge that was delivered, answered or canceled", n)
				}
			}
			// The first sender reports after all.
			s.first.post(s.node, m, signedReport{})
			if got := s.deliveryStatus(silent); got != "delivered webhook" {
				t.Errorf("the status is %s", got)
			}
		})
	}
}

// startSettled starts a challenge for a number with a prefix, and settles it before the time for reports ends. If a busy machine took
// longer, silence may have moved that message, and another number is taken.
func (s failoverServer) startSettled(prefix string, settle func(id, to string, m reportedMessage)) (id string) {
	s.t.Helper()
	for n := range 10 {
		began, to := time.Now(), prefix+strconv.Itoa(n)
		id, m := s.startSent(to)
		if settle(id, to, m); time.Since(began) < noReportAfter {
			return id
		}
	}
	s.t.Fatalf("no challenge was settled within %s", noReportAfter)
	return ""
}

// The second message takes the limits of prefix, country, app and all again. Where they refuse, the message does not move.
func TestFailoverTakesLimitsAgain(t *testing.T) {
	t.Parallel()
	for _, by := range []string{ratelimit.ByPrefix, ratelimit.ByCountry, ratelimit.ByApp, ratelimit.ByAll, ratelimit.ByAddress} {
		t.Run(by, func(t *testing.T) {
			s := startFailoverServer(t, func(all *settings) {
				all.apps[0].limits = []ratelimit.Rule{{Name: "one", Limit: 1, Window: time.Hour, By: by}}
			})
			id, m := s.startSent("+14155550123")
			s.first.post(s.node, m, signedReport{body: negative})
			if by == ratelimit.ByAddress { // the person's own limits are not charged for what the sender failed to do
				s.second.waitFor(t, id)
				return
			}
			waitFor(t, "failed webhook", func() string { return s.deliveryStatus(id) })
			if n := len(s.second.of(id)); n != 0 {
				t.Errorf("%d messages beyond the limit", n)
			}
		})
	}
}
