package webhook_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

// Check connects to the receiver, verifies its certificate, and sends no request.
func TestCheckSendsNoRequest(t *testing.T) {
	env := delivery.Environment{Development: true}
	r := newReceiver(t, accept)
	untrusted := httptest.NewTLSServer(http.HandlerFunc(accept))
	t.Cleanup(untrusted.Close)
	dead := httptest.NewServer(nil)
	dead.Close()
	urls := []string{r.URL, untrusted.URL, dead.URL}
	want := []string{"", "TLS certificate not trusted", "connection refused"}
	var endpoints []webhook.Endpoint
	for i, u := range urls {
		raw := "webhook+" + u + "/?secret=" + secretA
		sender, err := providers.Open(t.Context(), raw, env)
		if err != nil {
			t.Fatal(err)
		}
		requireError(t, delivery.CheckSender(t.Context(), sender), want[i])
		endpoints = append(endpoints, webhook.Endpoint{URL: watchword.NewCode(raw)})
	}
	d, err := webhook.NewDispatcher(webhook.DispatcherConfig{Endpoints: endpoints, Environment: env})
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range d.CheckEndpoints(t.Context()) {
		requireError(t, err, want[i])
	}
	if len(r.bodies) != 0 {
		t.Errorf("%d requests", len(r.bodies))
	}
}

// requireError requires an error that contains a text, or none for the empty text.
func requireError(t *testing.T, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}
