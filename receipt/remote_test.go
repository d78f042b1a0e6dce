package receipt_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

func TestVerifyFetchesKeysWhenNeeded(t *testing.T) {
	for _, test := range []struct {
		cacheControl string
		fresh        time.Duration
	}{
		{"", 10 * time.Minute},
		{"public, max-age=300", 5 * time.Minute},
		{`Public,MAX-AGE="300"`, 5 * time.Minute},
		{"max-age=0", time.Minute},
		{"no-store", time.Minute},
		{"max-age=300, no-cache", time.Minute},
		{"max-age=31536000", time.Hour},
		{"max-age=99999999999999999", time.Hour},
		{"max-age=18446744073709551615", time.Hour},
		{"max-age=-1", time.Minute},
		{"max-age=soon", time.Minute},
		{"s-maxage=30, immutable", 10 * time.Minute},
	} {
		t.Run(test.cacheControl, func(t *testing.T) {
			issuer, signer := newIssuer(t), mustSigner(t, mustKey(t, "k", receipt.EdDSA))
			issuer.publish(signer.JWKS(), test.cacheControl)
			verifier := issuer.verifier(t)
			issuer.wantRequests(t, 0)
			for _, step := range []struct {
				wait     time.Duration
				requests int64
			}{{0, 1}, {test.fresh - 1, 1}, {1, 2}} {
				issuer.advance(step.wait)
				if err := issuer.verify(t, verifier, signer); err != nil {
					t.Fatal(err)
				}
				issuer.wantRequests(t, step.requests)
			}
		})
	}
}

func TestVerifyFetchesUnknownKeyAtOnce(t *testing.T) {
	issuer := newIssuer(t)
	old, young := mustSigner(t, mustKey(t, "old", receipt.EdDSA)), mustSigner(t, mustKey(t, "young", receipt.ES256))
	issuer.publish(old.JWKS(), "max-age=3600")
	verifier := issuer.verifier(t)
	if err := issuer.verify(t, verifier, old); err != nil {
		t.Fatal(err)
	}
	issuer.publish(young.JWKS(), "max-age=3600")
	issuer.advance(10 * time.Second)
	if err := issuer.verify(t, verifier, young); err != nil {
		t.Fatal(err)
	}
	issuer.wantRequests(t, 2)
	if err := issuer.verify(t, verifier, old); !errors.Is(err, watchword.ErrReceiptInvalid) {
		t.Errorf("a key that is not published any more: %v", err)
	}
}

// There is a pause after each request, however many receipts name unknown keys.
func TestVerifyPausesBetweenFetchesForUnknownKeys(t *testing.T) {
	issuer := newIssuer(t)
	signer, other := mustSigner(t, mustKey(t, "k", receipt.EdDSA)), mustSigner(t, mustKey(t, "other", receipt.EdDSA))
	issuer.publish(signer.JWKS(), "max-age=3600")
	verifier := issuer.verifier(t)
	for step := range int64(5) {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				if err := issuer.verify(t, verifier, other); !errors.Is(err, watchword.ErrReceiptInvalid) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		issuer.wantRequests(t, step+1)
		issuer.advance(10*time.Second - 1)
		_ = issuer.verify(t, verifier, other)
		issuer.wantRequests(t, step+1)
		issuer.advance(1)
	}
	if err := issuer.verify(t, verifier, signer); err != nil {
		t.Error(err)
	}
}

// The first keys are fetched once, and the fetch continues after its first caller's context has ended.
func TestConcurrentVerificationsShareOneFetch(t *testing.T) {
	issuer, signer := newIssuer(t), mustSigner(t, mustKey(t, "k", receipt.EdDSA))
	arrived, release := make(chan struct{}), make(chan struct{})
	issuer.setHandler(func(w http.ResponseWriter, _ *http.Request) {
		close(arrived) // a second request would panic here
		<-release
		_, _ = w.Write(signer.JWKS())
	})
	verifier := issuer.verifier(t)
	token := mustSign(t, signer, issuer.claims())
	ctx, giveUp := context.WithCancel(t.Context())
	first := make(chan error)
	go func() {
		_, err := verifier.Verify(ctx, token, signIn)
		first <- err
	}()
	<-arrived
	giveUp()
	if err := <-first; !errors.Is(err, watchword.ErrUnavailable) || !errors.Is(err, context.Canceled) {
		t.Errorf("the canceled caller: %v", err)
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := verifier.Verify(t.Context(), token, signIn); err != nil {
				t.Error(err)
			}
		})
	}
	close(release)
	all.Wait()
	issuer.wantRequests(t, 1)
}

// Known keys are used for an hour after they have expired.
func TestVerifyUsesKnownKeysDuringAnOutage(t *testing.T) {
	issuer, signer := newIssuer(t), mustSigner(t, mustKey(t, "k", receipt.EdDSA))
	verifier := issuer.verifier(t)
	issuer.fail()
	if err := issuer.verify(t, verifier, signer); !errors.Is(err, watchword.ErrUnavailable) {
		t.Fatalf("without any keys: %v", err)
	}
	issuer.publish(signer.JWKS(), "max-age=60")
	if err := issuer.verify(t, verifier, signer); !errors.Is(err, watchword.ErrUnavailable) {
		t.Fatalf("during the pause: %v", err)
	}
	issuer.wantRequests(t, 1)
	issuer.advance(10 * time.Second)
	if err := issuer.verify(t, verifier, signer); err != nil {
		t.Fatalf("back again: %v", err)
	}
	issuer.fail()
	issuer.advance(time.Minute + time.Hour - 1)
	if err := issuer.verify(t, verifier, signer); err != nil {
		t.Errorf("out for an hour: %v", err)
	}
	issuer.advance(1)
	if err := issuer.verify(t, verifier, signer); !errors.Is(err, watchword.ErrUnavailable) {
		t.Errorf("out for longer: %v", err)
	}
	issuer.publish(signer.JWKS(), "")
	issuer.advance(10 * time.Second)
	if err := issuer.verify(t, verifier, signer); err != nil {
		t.Errorf("back again: %v", err)
	}
}

func TestVerifyKeepsKeysWhenTheNewSetIsInvalid(t *testing.T) {
	signer, other := mustSigner(t, mustKey(t, "k", receipt.EdDSA)), mustSigner(t, mustKey(t, "other", receipt.EdDSA))
	curve := mustSigner(t, mustKey(t, "curve", receipt.ES256))
	elsewhere := newIssuer(t)
	elsewhere.publish(other.JWKS(), "")
	write := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }
	}
	for name, answer := range map[string]http.HandlerFunc{
		"not found": http.NotFound,
		"moved":     func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) },
		"endless":   write(string(other.JWKS()) + strings.Repeat(" ", 64<<10)),
		"an error page": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write(other.JWKS())
		},
		"HTML":           write("<!doctype html>"),
		"empty":          write(""),
		"no keys":        write(`{"keys":[]}`),
		"symmetric":      write(`{"keys":[{"kty":"oct","kid":"other","alg":"HS256","use":"sig","k":"AAAA"}]}`),
		"encryption":     write(strings.ReplaceAll(string(other.JWKS()), `"sig"`, `"enc"`)),
		"P-256 as EdDSA": write(strings.ReplaceAll(string(curve.JWKS()), `"ES256"`, `"EdDSA"`)),
		"no algorithm":   write(strings.ReplaceAll(string(other.JWKS()), `"EdDSA"`, `""`)),
		"short key":      write(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"other","alg":"EdDSA","use":"sig","x":"AAAA"}]}`),
		"off the curve": write(`{"keys":[{"kty":"EC","crv":"P-256","kid":"other","alg":"ES256","use":"sig",` +
			`"x":"` + strings.Repeat("A", 42) + `E","y":"` + strings.Repeat("A", 42) + `E"}]}`),
		"one name twice": write(strings.ReplaceAll(string(other.JWKS()), `]}`, `,`+string(other.JWKS()[9:]))),
	} {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			verifier := issuer.verifier(t)
			issuer.publish(signer.JWKS(), "max-age=60")
			if err := issuer.verify(t, verifier, signer); err != nil {
				t.Fatal(err)
			}
			issuer.setHandler(answer)
			issuer.advance(time.Minute)
			for _, other := range []*receipt.Signer{other, curve} {
				if err := issuer.verify(t, verifier, other); !errors.Is(err, watchword.ErrReceiptInvalid) {
					t.Errorf("a receipt of another signer: %v", err)
				}
			}
			if err := issuer.verify(t, verifier, signer); err != nil {
				t.Errorf("a genuine receipt: %v", err)
			}
			issuer.wantRequests(t, 2)
			if n := elsewhere.requests.Load(); n != 0 {
				t.Errorf("a redirect was followed")
			}
		})
	}
}

// A newer server may publish keys of types that this version does not know.
func TestVerifyIgnoresKeysOfOtherUse(t *testing.T) {
	issuer, signer := newIssuer(t), mustSigner(t, mustKey(t, "k", receipt.EdDSA))
	issuer.publish([]byte(`{"keys":[{"kty":"AKP","kid":"pq","alg":"ML-DSA-44","use":"sig","pub":"AAAA"},`+string(signer.JWKS()[9:])), "")
	if err := issuer.verify(t, issuer.verifier(t), signer); err != nil {
		t.Error(err)
	}
}

// Keys are published, then sign, while receipts are verified. No receipt is refused.
func TestVerifyDuringKeyRotation(t *testing.T) {
	issuer := newIssuer(t)
	keys := make([]receipt.Key, 6)
	for n := range keys {
		keys[n] = mustKey(t, fmt.Sprintf("k%d", n), []receipt.Algorithm{receipt.EdDSA, receipt.ES256}[n%2])
	}
	var current atomic.Pointer[receipt.Signer]
	rotate := func(n int) { // the nth key signs, older ones still verify, the next one is published
		known := append([]receipt.Key{keys[n]}, keys[:n]...)
		signer := mustSigner(t, append(known, keys[n+1])...)
		issuer.publish(signer.JWKS(), "max-age=60")
		current.Store(signer)
	}
	rotate(0)
	verifier := issuer.verifier(t)
	stop := make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if err := issuer.verify(t, verifier, current.Load()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for n := 1; n < len(keys)-1; n++ {
		issuer.advance(time.Minute) // the published keys have been fetched
		if err := issuer.verify(t, verifier, current.Load()); err != nil {
			t.Error(err)
		}
		rotate(n)
	}
	close(stop)
	all.Wait()
}
