package outbound

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"testing"
	"time"
)

// The time of an exchange includes reading the answer, whether the policy or the context of the request ends it first.
func TestTimeoutEndsAnswerThatDoesNotEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	for name, c := range map[string]struct{ policy, request time.Duration }{
		"policy":             {50 * time.Millisecond, 0},
		"policy, earlier":    {50 * time.Millisecond, time.Minute},
		"context, no policy": {0, 50 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := t.Context(), func() {}
			if c.request > 0 {
				ctx, cancel = context.WithTimeout(ctx, c.request)
			}
			defer cancel()
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
			if err != nil {
				t.Fatal(err)
			}
			answer, err := Policy{Development: true, Timeout: c.policy}.Client().Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			if _, err := io.ReadAll(answer.Body); !errors.Is(err, TimedOut) {
				t.Errorf("reading the answer: %v, want %v", err, TimedOut)
			}
		})
	}
}

// An exchange that has ended does not close its connection.
func TestConnectionIsUsedAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		_, _ = io.WriteString(w, "answer")
	}))
	defer server.Close()
	client := Policy{Development: true}.Client()
	for n, method := range []string{http.MethodGet, http.MethodPost, http.MethodGet, http.MethodPost, http.MethodPost} {
		var reused bool
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }}
		request, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if reused != (n > 0) {
			t.Errorf("request %d: a used connection: %t", n, reused)
		}
	}
}
