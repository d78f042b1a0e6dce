package enginetest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// nodeWithKeys returns another node with these keys that has not run Ping.
func (k *kit) nodeWithKeys(keys ...watchword.Key) *watchword.Engine {
	return k.newNode(func(c *watchword.Config) { c.Keys = keys })
}

// requireFault requires that Ping returns one fault with the reason, and that only the error names the keys.
func (k *kit) requireFault(e *watchword.Engine, reason, challengeWithSubject string) {
	k.t.Helper()
	found := k.requireCode(e.Ping(k.t.Context()), watchword.ErrUnavailable)
	if len(found.Faults) != 1 || found.Faults[0] != (watchword.Fault{Part: "factors", Reason: reason}) || !strings.Contains(found.Error(), challengeWithSubject) {
		k.t.Errorf("%+v: %v", found.Faults, found)
	}
}

// Data that one server has encrypted with its active key must be readable by another server, whatever is enrolled.
func TestPingFailsWhereKeyIsMissing(t *testing.T) {
	const missing = "a key that something was sealed under is not in the keyring"
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		ctx := t.Context()
		k1, k2 := newTestKey(t, "k1"), newTestKey(t, "k2")
		if err := k.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		k.requireFault(k.nodeWithKeys(k2), missing, `"k1"`)
		rotated := k.nodeWithKeys(k2, k1)
		if err := rotated.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		k.requireFault(k.nodeWithKeys(k1), missing, `"k2"`) // it cannot decrypt what the rotated server encrypts
		if err := k.nodeWithKeys(k1, k2).Ping(ctx); err != nil {
			t.Error(err)
		}
		if err := rotated.Reseal(ctx, func(seen, _ int) { t.Errorf("%d factors", seen) }); err != nil {
			t.Fatal(err)
		}
		if err := k.nodeWithKeys(k2).Ping(ctx); err != nil {
			t.Errorf("after everything was sealed again: %v", err)
		}
		if err := k.nodeWithKeys(k1, k2).Ping(ctx); err != nil { // the rotation is taken back: k1 is active again
			t.Error(err)
		}
		k.requireFault(k.nodeWithKeys(k2), missing, `"k1"`)
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		other, err := watchword.NewKey("k1", secret)
		if err != nil {
			t.Fatal(err)
		}
		k.requireFault(k.nodeWithKeys(other, k2), "a key of the keyring does not open what was sealed under it", "sk_")
		if all, err := k.ListFactors(ctx, ""); err != nil || len(all) != 0 {
			t.Errorf("%d unowned factors, %v", len(all), err)
		}
	})
}

// ForgetKey removes what was encrypted with a lost key, and nothing else.
func TestForgetKeyRemovesFactorsOfLostKey(t *testing.T) {
	k := newEnrolmentKit(t)
	ctx := t.Context()
	if err := k.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	adminAuthority := watchword.Authority{Admin: true}
	if _, err := k.enrol("weak", adminAuthority); err != nil {
		t.Fatal(err)
	}
	lacking := k.nodeWithKeys(newTestKey(t, "k2"))
	kept, err := k.enrolOn(lacking, "strong", adminAuthority)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lacking.ForgetKey(ctx, "k2"); err == nil {
		t.Error("a key of the keyring is forgotten")
	}
	if n, err := lacking.ForgetKey(ctx, "another"); err != nil || n != 0 {
		t.Errorf("another key: %d removed, %v", n, err)
	}
	if n, err := lacking.ForgetKey(ctx, "k1"); err != nil || n != 1 {
		t.Errorf("%d removed, %v", n, err)
	}
	if all, err := lacking.ListFactors(ctx, subject); err != nil || len(all) != 1 || all[0].ID != kept.Factor.ID || all[0].Unreadable() {
		t.Errorf("left are %+v, %v", all, err)
	}
	if err := lacking.Ping(ctx); err != nil {
		t.Error(err)
	}
}

// failingPart is a component whose Ping fails.
type failingPart struct {
	watchword.Limiter
	err error
}

func (u failingPart) Ping(context.Context) error { return u.err }

type publicError struct{ error }

func (publicError) Reason() string { return "is out of order" }

func TestPingNamesEachFailedPart(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.7:6379 with hunter2")
	for _, c := range []struct {
		err    error
		reason string
	}{{secret, "cannot be used"}, {publicError{secret}, "is out of order"}, {context.DeadlineExceeded, "does not answer in time"}} {
		k := newKit(t, func(config *watchword.Config) { config.Starts = failingPart{err: c.err} })
		found := k.requireCode(k.Ping(t.Context()), watchword.ErrUnavailable)
		if len(found.Faults) != 1 || found.Faults[0] != (watchword.Fault{Part: "limits", Reason: c.reason}) {
			t.Errorf("%+v", found.Faults)
		}
	}
}

func TestResealEncryptsWithActiveKeyAndSkipsDamagedFactors(t *testing.T) {
	ctx := context.Background()
	store := &memory.Factors{}
	k := newKit(t, func(c *watchword.Config) { c.Factors = store }, func(c *watchword.Config) {
		c.Strategies = append(c.Strategies, newEnrollingStrategy("weak", watchword.StrengthOTP))
	})
	for range 3 {
		if _, err := k.enrol("weak", watchword.Authority{Admin: true}); err != nil {
			t.Fatal(err)
		}
	}
	rotated := k.newNode(func(c *watchword.Config) { c.Keys = []watchword.Key{newTestKey(t, "k2"), newTestKey(t, "k1")} })
	only := k.newNode(func(c *watchword.Config) { c.Keys = []watchword.Key{newTestKey(t, "k2")} })
	if all, err := only.ListFactors(ctx, subject); err != nil || len(all) != 3 || !all[0].Unreadable() {
		t.Fatalf("the new key alone opens what the old one sealed: %+v %v", all, err)
	}
	for _, want := range []int{3, 0} { // the entry of their set is encrypted again too, and not counted
		seen, resealed := 0, 0
		if err := rotated.Reseal(ctx, func(s, r int) { seen, resealed = s, r }); err != nil || seen != 3 || resealed != want {
			t.Fatalf("%d of %d: %v", resealed, seen, err)
		}
	}
	bad := watchword.SealedFactor{ID: "fa_0_damaged", App: "shop", Subject: "user_9", Strategy: "weak", Data: []byte("damaged")}
	if err := store.Create(ctx, bad); err != nil {
		t.Fatal(err)
	}
	seen := 0
	if err := rotated.Reseal(ctx, func(s, _ int) { seen = s }); err == nil || !strings.Contains(err.Error(), bad.ID) || seen != 4 {
		t.Fatalf("%d seen with one that does not open: %v", seen, err)
	}
	if all, err := only.ListFactors(ctx, subject); err != nil || len(all) != 3 || all[0].Unreadable() {
		t.Fatalf("%d factors under the new key alone: %v", len(all), err)
	}
}

// A pingerFunc is a Pinger.
type pingerFunc func() error

func (f pingerFunc) Ping(context.Context) error { return f() }

// A dependency that does not work is a fault with its name, and a reason only if its error has one.
func TestPingNamesDependencies(t *testing.T) {
	down := errors.New("492039")
	k := newKit(t)
	e := k.newNode(func(c *watchword.Config) {
		c.Dependencies = map[string]watchword.Pinger{"sending": pingerFunc(func() error { return down }), "counters": pingerFunc(func() error { return nil })}
	})
	found := k.requireCode(e.Ping(t.Context()), watchword.ErrUnavailable)
	if len(found.Faults) != 1 || found.Faults[0] != (watchword.Fault{Part: "sending", Reason: "cannot be used"}) {
		t.Errorf("%+v", found.Faults)
	}
	if down = nil; e.Ping(t.Context()) != nil {
		t.Error("it does not recover")
	}
}
