package delivery_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func TestOpenersFillInTheEnvironment(t *testing.T) {
	var got delivery.Environment
	openers := delivery.Openers{"x": func(_ context.Context, _ *url.URL, env delivery.Environment) (watchword.Sender, error) {
		got = env
		return &scriptedSender{}, nil
	}}
	if _, err := openers.Open(context.Background(), "x://y", delivery.Environment{}); err != nil {
		t.Fatal(err)
	}
	if got.Logger == nil || got.Now == nil || got.Random == nil {
		t.Errorf("%+v", got)
	}
}

func TestOpenersErrorsContainNoURL(t *testing.T) {
	openers := delivery.Openers{"x": func(context.Context, *url.URL, delivery.Environment) (watchword.Sender, error) {
		return nil, errors.New("from is missing")
	}}
	for _, raw := range []string{"x://user:secret@host/", "y://user:secret@host/", "x://user:secret@ho st/\x7f", "x://user:sec%ret@host", "://secret", ""} {
		_, err := openers.Open(context.Background(), raw, delivery.Environment{})
		if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec%ret") {
			t.Errorf("%q: %v", raw, err)
		}
	}
}

func TestEnvironmentConnectsOnlyToAllowedAddresses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	address := server.Listener.Addr().String()
	for _, c := range []struct {
		env        delivery.Environment
		http, dial bool
	}{
		{delivery.Environment{}, false, false},
		{delivery.Environment{Development: true}, true, true},
		{delivery.Environment{Allowed: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}, false, true}, // https only
	} {
		answer, err := c.env.HTTPClient().Get(server.URL)
		if err == nil {
			_ = answer.Body.Close()
		}
		if (err == nil) != c.http {
			t.Errorf("%+v: http: %v", c.env, err)
		}
		conn, err := c.env.DialContext(context.Background(), "tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		if (err == nil) != c.dial {
			t.Errorf("%+v: dial: %v", c.env, err)
		}
	}
}

func TestCheckResolvedRefusesNamesOfRefusedNetworks(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	for name, c := range map[string]struct {
		env     delivery.Environment
		host    string
		refused bool
	}{
		"private":      {delivery.Environment{}, "localhost", true},
		"allowed":      {delivery.Environment{Allowed: loopback}, "localhost", false},
		"not resolved": {delivery.Environment{}, "nowhere.invalid", false},
	} {
		if err := c.env.CheckResolved(t.Context(), c.host); (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
	}
}
