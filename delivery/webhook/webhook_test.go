package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

const (
	secretA = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" // the + is meant
	secretB = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
)

var providers = delivery.Openers{"webhook+https": webhook.Open, "webhook+http": webhook.Open}

// A receiver is an app's endpoint. It records requests and answers with the given handler.
type receiver struct {
	*httptest.Server
	mu      sync.Mutex
	headers []http.Header
	bodies  [][]byte
	conns   map[string]bool
}

func newReceiver(t *testing.T, answer http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{conns: map[string]bool{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.headers, r.bodies = append(r.headers, req.Header), append(r.bodies, body)
		r.conns[req.RemoteAddr] = true
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) url(parameters string) string {
	return "webhook+" + r.URL + "/hook/path?" + parameters
}

func accept(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }

func answerStatus(status int, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
	}
}

func open(t *testing.T, url string, now func() time.Time) watchword.Sender {
	t.Helper()
	sender, err := providers.Open(t.Context(), url, delivery.Environment{Development: true, Now: now})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return sender
}

func sms() watchword.Message {
	return watchword.Message{
		ID: "msg_1", ChallengeID: "ch_1", App: "ACME", Channel: "sms", To: "+14155550123", Locale: "en", Purpose: "sign_in",
		Subject: "user_42", Code: watchword.NewCode("492039"), Text: "492039 is your ACME code.",
		ExpiresAt:   time.Date(2026, 8, 1, 12, 10, 0, 0, time.UTC),
		Transaction: map[string]string{"amount": "40.00"}, Client: watchword.Client{IP: "203.0.113.7", UserAgent: "Mozilla/5.0"},
	}
}

func mail() watchword.Message {
	m := sms()
	m.Channel, m.To, m.Title, m.HTML = "email", "ada@example.com", "Your code", "<p>492039</p>"
	m.Link = watchword.NewCode("https://verify.example.com/l/ch_1#lt_secret")
	return m
}

func TestSendPostsDocumentedPayload(t *testing.T) {
	r := newReceiver(t, accept)
	at := time.Date(2026, 8, 1, 12, 0, 0, 123e6, time.FixedZone("", 7200))
	sent, err := open(t, r.url("secret="+secretA), func() time.Time { return at }).Send(t.Context(), mail())
	if err != nil || !reflect.DeepEqual(sent, watchword.Sent{Provider: "webhook", Reference: "msg_1"}) {
		t.Fatalf("sent %+v, %v", sent, err)
	}
	const want = `{"type":"message.send","timestamp":"2026-08-01T10:00:00.123Z","data":{"message_id":"msg_1","challenge_id":"ch_1",` +
		`"channel":"email","to":"ada@example.com","locale":"en","purpose":"sign_in","subject":"user_42","title":"Your code",` +
		`"text":"492039 is your ACME code.","html":"\u003cp\u003e492039\u003c/p\u003e","code":"492039",` +
		`"link":"https://verify.example.com/l/ch_1#lt_secret","expires_at":"2026-08-01T12:10:00Z","transaction":{"amount":"40.00"}}}`
	if got := string(r.bodies[0]); got != want {
		t.Errorf("body\n got %s\nwant %s", got, want)
	}
	h := r.headers[0]
	for name, want := range map[string]string{
		"Content-Type": "application/json", "User-Agent": "watchword", "Webhook-Id": "msg_1", "Webhook-Timestamp": "1785578400",
	} {
		if h.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, h.Get(name), want)
		}
	}
	if _, there := h["Idempotency-Key"]; there {
		t.Error("an Idempotency-Key was sent")
	}
}

// The Standard Webhooks library verifies the signatures, as receivers do.
func TestSendSignatureIsAcceptedByStandardWebhooks(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 8<<10)) })
	sender := open(t, r.url("secret="+secretB+"&secret="+secretA), time.Now)
	for range 2 { // retries have the same id
		if _, err := sender.Send(t.Context(), sms()); err != nil {
			t.Fatal(err)
		}
	}
	for i, body := range r.bodies {
		for _, secret := range []string{secretA, secretB} {
			oracle, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := oracle.Verify(body, r.headers[i]); err != nil {
				t.Errorf("message %d, secret %.8s: %v", i, secret, err)
			}
			if err := oracle.Verify(append([]byte(" "), body...), r.headers[i]); err == nil {
				t.Error("the oracle accepts another body")
			}
		}
	}
	if a, b := r.headers[0].Get("Webhook-Id"), r.headers[1].Get("Webhook-Id"); a != "msg_1" || a != b {
		t.Errorf("ids %q and %q", a, b)
	}
	if len(r.conns) != 1 {
		t.Errorf("%d connections for two messages, want one", len(r.conns))
	}
}

func TestSendMapsAnswerStatusToError(t *testing.T) {
	now := time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		status    int
		after     string
		permanent bool
		wait      time.Duration
	}{
		{400, "", true, 0}, {401, "", true, 0}, {404, "", true, 0}, {410, "", true, 0}, {422, "7", true, 0},
		{408, "", false, 0}, {425, "", false, 0}, {429, "7", false, 7 * time.Second}, {500, "", false, 0}, {502, "", false, 0},
		{503, "Sat, 01 Aug 2026 12:01:00 GMT", false, time.Minute}, {503, "Sat, 01 Aug 2026 11:00:00 GMT", false, 0},
		{429, "-5", false, 0}, {429, "soon", false, 0}, {429, "99999999999999999999", false, 0}, {429, "9223372036854775807", false, 24 * time.Hour},
		{301, "", true, 0}, {302, "", true, 0}, {307, "", true, 0}, {308, "", true, 0}, {304, "", true, 0},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, " ", tt.after), func(t *testing.T) {
			r := newReceiver(t, answerStatus(tt.status, "Retry-After", tt.after, "Location", "/elsewhere"))
			_, err := open(t, r.url("secret="+secretA), func() time.Time { return now }).Send(t.Context(), sms())
			var refusal *watchword.SendError
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v", err)
			}
			if refusal.Permanent != tt.permanent || refusal.Permanent == false && refusal.RetryAfter != tt.wait || refusal.Provider != "webhook" {
				t.Errorf("got %+v", refusal)
			}
			if len(r.bodies) != 1 {
				t.Errorf("%d requests", len(r.bodies))
			}
		})
	}
}

func TestSendMapsAnswerStatusToFault(t *testing.T) {
	for fault, statuses := range map[watchword.SendFault][]int{
		watchword.FaultProvider:  {301, 304, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503},
		watchword.FaultRecipient: {400, 402, 409, 410, 422, 451},
		watchword.FaultMessage:   {413, 415},
	} {
		for _, status := range statuses {
			r := newReceiver(t, answerStatus(status))
			_, err := open(t, r.url("secret="+secretA), time.Now).Send(t.Context(), sms())
			var refusal *watchword.SendError
			if !errors.As(err, &refusal) || refusal.Fault != fault {
				t.Errorf("%d: got %v, want a fault of the %v", status, err, fault)
			}
		}
	}
}

func TestSendReportsTimeoutsAndBrokenConnectionsAsTemporary(t *testing.T) {
	cut := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	wait := make(chan struct{})
	silent := newReceiver(t, func(http.ResponseWriter, *http.Request) { <-wait })
	t.Cleanup(func() { close(wait) })
	for name, r := range map[string]*receiver{"cut": cut, "silent": silent} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := open(t, r.url("secret="+secretA), time.Now).Send(ctx, sms())
		cancel()
		var refusal *watchword.SendError
		if !errors.As(err, &refusal) || refusal.Permanent {
			t.Errorf("%s: got %v", name, err)
		}
		if name == "silent" && !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the context's end is not recognisable in %v", err)
		}
		if strings.Contains(err.Error(), "/hook/path") {
			t.Errorf("%s: the error contains the URL: %v", name, err)
		}
	}
}

func TestSendDoesNotReadHugeAnswers(t *testing.T) {
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		chunk := make([]byte, 32<<10)
		for {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := open(t, r.url("secret="+secretA), time.Now).Send(t.Context(), sms()); err != nil {
		t.Error(err)
	}
}

func TestSendRejectsPrivateAddressesPermanently(t *testing.T) {
	for _, host := range []string{"10.0.0.1", "169.254.169.254", "127.0.0.1"} {
		if _, err := providers.Open(t.Context(), "webhook+https://"+host+"/?secret="+secretA, delivery.Environment{}); err == nil {
			t.Errorf("%s can be configured", host)
		}
		u := &url.URL{Scheme: "webhook+https", Host: host, RawQuery: "secret=" + secretA}
		sender, err := webhook.Open(t.Context(), u, delivery.Environment{}.WithDefaults()) // without the check of Openers.Open, as for a name that resolves to the address
		if err != nil {
			t.Fatal(err)
		}
		_, err = sender.Send(t.Context(), sms())
		var refusal *watchword.SendError
		if !errors.As(err, &refusal) || !refusal.Permanent {
			t.Errorf("%s: got %v", host, err)
		}
	}
}

func TestSendErrorsContainNoSecrets(t *testing.T) {
	r := newReceiver(t, answerStatus(400))
	_, err := open(t, r.url("secret="+secretA), time.Now).Send(t.Context(), mail())
	sender := open(t, r.url("secret="+secretA), time.Now)
	for _, text := range []string{err.Error(), fmt.Sprintf("%+v %#v", sender, sender)} {
		for _, secret := range []string{"492039", "ada@", "lt_secret", "C2FVsBQ", "\x0b\x61\x55\xb0"} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in %q", secret, text)
			}
		}
	}
}

func BenchmarkSend(b *testing.B) {
	server := httptest.NewServer(http.HandlerFunc(accept))
	defer server.Close()
	sender, err := providers.Open(b.Context(), "webhook+"+server.URL+"/?secret="+secretA, delivery.Environment{Development: true})
	if err != nil {
		b.Fatal(err)
	}
	m := sms()
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := sender.Send(b.Context(), m); err != nil {
				b.Error(err)
			}
		}
	})
}

func Example() {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		verifier, _ := standardwebhooks.NewWebhook(secretB)
		if verifier.Verify(body, r.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var event struct{ Data struct{ To, Text string } }
		_ = json.Unmarshal(body, &event)
		fmt.Printf("to %s: %s\n", event.Data.To, event.Data.Text)
	}))
	defer receiver.Close()

	providers := delivery.Openers{"webhook+https": webhook.Open, "webhook+http": webhook.Open}
	sender, err := providers.Open(context.Background(), "webhook+"+receiver.URL+"/?secret="+secretB,
		delivery.Environment{Development: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = sender.Send(context.Background(), watchword.Message{
		ID: "msg_1", Channel: "sms", To: "+14155550123", Text: "492039 is your ACME code.", ExpiresAt: time.Now().Add(time.Minute),
	})
	fmt.Println(err)
	// Output:
	// to +14155550123: 492039 is your ACME code.
	// <nil>
}
