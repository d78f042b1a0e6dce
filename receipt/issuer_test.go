package receipt_test

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// An issuer publishes keys over HTTP and counts the requests.
type issuer struct {
	*httptest.Server
	requests atomic.Int64
	answer   atomic.Pointer[http.HandlerFunc]
	elapsed  atomic.Int64 // how far the clock has moved from instant
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i.requests.Add(1)
		(*i.answer.Load())(w, r)
	}))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) setHandler(handler http.HandlerFunc) { i.answer.Store(&handler) }

// publish sets the published keys, and the Cache-Control header if that is not empty.
func (i *issuer) publish(jwks []byte, cacheControl string) {
	i.setHandler(func(w http.ResponseWriter, _ *http.Request) {
		if cacheControl != "" {
			w.Header().Set("Cache-Control", cacheControl)
		}
		_, _ = w.Write(jwks)
	})
}

func (i *issuer) fail() {
	i.setHandler(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
}

func (i *issuer) clock() time.Time { return instant.Add(time.Duration(i.elapsed.Load())) }

func (i *issuer) advance(d time.Duration) { i.elapsed.Add(int64(d)) }

// claims returns claims that are valid by the issuer's clock.
func (i *issuer) claims() watchword.Claims {
	now := i.clock().Unix()
	return watchword.Claims{
		Issuer: i.URL, Audience: "shop", Subject: "user_42", ID: "ch_1", IssuedAt: now, ExpiresAt: now + 600, AuthTime: now,
		Purpose: "sign_in", Strategy: "otp",
	}
}

func (i *issuer) verifier(t *testing.T) *receipt.Verifier {
	t.Helper()
	verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: i.URL, Client: i.Client(), Clock: i.clock})
	if err != nil {
		t.Fatal(err)
	}
	return verifier
}

var signIn = receipt.Expect{Purpose: "sign_in", Audience: "shop", Subject: "user_42"}

// verify signs new claims and verifies the receipt.
func (i *issuer) verify(t *testing.T, v *receipt.Verifier, signer *receipt.Signer) error {
	t.Helper()
	_, err := v.Verify(t.Context(), mustSign(t, signer, i.claims()), signIn)
	return err
}

func (i *issuer) wantRequests(t *testing.T, want int64) {
	t.Helper()
	if got := i.requests.Load(); got != want {
		t.Fatalf("%d requests, want %d", got, want)
	}
}
