package typescript_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

const (
	oldSecret   = "whsec_b2xkIHNlY3JldCBvZiB0aGUgZW5kcG9pbnQ="
	newSecret   = "whsec_bmV3IHNlY3JldCBvZiB0aGUgZW5kcG9pbnQ="
	otherSecret = "whsec_b3RoZXIgc2VjcmV0IG9mIGFuIGVuZHBvaW50"
)

// postedEvent returns the request that the server's dispatcher posts to an endpoint with two secrets, as a line of JSON.
func postedEvent(t *testing.T) []byte {
	t.Helper()
	requests := make(chan []byte, 1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		headers := map[string]string{}
		for name := range r.Header {
			headers[name] = r.Header.Get(name)
		}
		line, err := json.Marshal(map[string]any{"headers": headers, "body": string(body)})
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(http.StatusNoContent)
		requests <- line
	}))
	t.Cleanup(receiver.Close)
	endpoint := webhook.Endpoint{URL: watchword.NewCode("webhook+" + receiver.URL + "/?secret=" + newSecret + "&secret=" + oldSecret)}
	d, err := webhook.NewDispatcher(webhook.DispatcherConfig{Endpoints: []webhook.Endpoint{endpoint}, Environment: delivery.Environment{Development: true}})
	must(t, err)
	go func() { _ = d.Run(t.Context()) }()
	d.HandleEvent(t.Context(), watchword.Event{Type: watchword.EventApproved, At: time.Now(), App: "shop", ChallengeID: "ch_1", Subject: "user_42", Metadata: map[string]string{"name": "Zoë"}})
	return append(<-requests, '\n')
}

// verifyPostedEvents verifies what the server posts with the client, on either side of a change of the secret.
func (w *workspace) verifyPostedEvents(t *testing.T) {
	request := postedEvent(t)
	changed := bytes.Replace(request, []byte("user_42"), []byte("user_43"), 1)
	for _, c := range []struct {
		secrets []string
		want    string
	}{
		{[]string{newSecret}, "challenge.approved user_42\nInvalidEventError\n"},
		{[]string{otherSecret, oldSecret}, "challenge.approved user_42\nInvalidEventError\n"},
		{[]string{otherSecret}, "InvalidEventError\nInvalidEventError\n"},
	} {
		cmd := w.command("node", append([]string{"test/verify-events.mjs"}, c.secrets...)...)
		cmd.Stdin = bytes.NewReader(append(bytes.Clone(request), changed...))
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != c.want {
			t.Errorf("with %v: %s, %v; want %s", c.secrets, out, err, c.want)
		}
	}
}
