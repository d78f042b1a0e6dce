package enginetest_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// keyed is another node with these keys, whose Ping has found nothing yet.
func (k *kit) keyed(keys ...watchword.Key) *watchword.Engine {
	return k.sibling(func(c *watchword.Config) { c.Keys = keys })
}

// mustBeFault checks that Ping finds one fault, and that the keys are named in the error alone.
func (k *kit) mustBeFault(e *watchword.Engine, reason, named string) {
	k.t.Helper()
	found := k.mustCode(e.Ping(k.t.Context()), watchword.ErrUnavailable)
	if len(found.Faults) != 1 || found.Faults[0] != (watchword.Fault{Part: "factors", Reason: reason}) || !strings.Contains(found.Error(), named) {
		k.t.Errorf("%+v: %v", found.Faults, found)
	}
}

// What a server has sealed under its first key another server must be able to open, whatever is enrolled.
func TestPingFailsWhereKeyIsMissing(t *testing.T) {
	const missing = "a key that something was sealed under is not in the keyring"
	eachFactorStore(t, func(t *testing.T, k *kit) {
		ctx := t.Context()
		k1, k2 := key(t, "k1"), key(t, "k2")
		if err := k.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		k.mustBeFault(k.keyed(k2), missing, `"k1"`)
		rotated := k.keyed(k2, k1)
		if err := rotated.Ping(ctx); err != nil {
			t.Fatal(err)
		}
		k.mustBeFault(k.keyed(k1), missing, `"k2"`) // it cannot open what the rotated one seals
		if err := k.keyed(k1, k2).Ping(ctx); err != nil {
			t.Error(err)
		}
		if err := rotated.Reseal(ctx, func(seen, _ int) { t.Errorf("%d factors", seen) }); err != nil {
			t.Fatal(err)
		}
		if err := k.keyed(k2).Ping(ctx); err != nil {
			t.Errorf("after everything was sealed again: %v", err)
		}
		if err := k.keyed(k1, k2).Ping(ctx); err != nil { // the rotation is taken back: k1 seals again
			t.Error(err)
		}
		k.mustBeFault(k.keyed(k2), missing, `"k1"`)
		secret := make([]byte, 32)
		_, _ = rand.Read(secret)
		other, err := watchword.NewKey("k1", secret)
		if err != nil {
			t.Fatal(err)
		}
		k.mustBeFault(k.keyed(other, k2), "a key of the keyring does not open what was sealed under it", "sk_")
		if all, err := k.ListFactors(ctx, ""); err != nil || len(all) != 0 {
			t.Errorf("%d factors of nobody, %v", len(all), err)
		}
	})
}

// What was sealed under a key that is lost can be given up, and nothing else.
func TestForgetKeyRemovesWhatNobodyCanOpen(t *testing.T) {
	k := newKeeperKit(t)
	ctx := t.Context()
	if err := k.Ping(ctx); err != nil {
		t.Fatal(err)
	}
	vouched := watchword.Authority{Admin: true}
	if _, err := k.enrol("weak", vouched); err != nil {
		t.Fatal(err)
	}
	lacking := k.keyed(key(t, "k2"))
	kept, err := k.enrolAt(lacking, "strong", vouched)
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

// unwell is a part that cannot be used.
type unwell struct {
	watchword.Limiter
	err error
}

func (u unwell) Ping(context.Context) error { return u.err }

type plainError struct{ error }

func (plainError) Reason() string { return "is out of order" }

func TestPingNamesEachPartThatDoesNotWork(t *testing.T) {
	secret := errors.New("dial tcp 10.0.0.7:6379 with hunter2")
	for _, c := range []struct {
		err    error
		reason string
	}{{secret, "cannot be used"}, {plainError{secret}, "is out of order"}, {context.DeadlineExceeded, "does not answer in time"}} {
		k := newKit(t, func(config *watchword.Config) { config.Starts = unwell{err: c.err} })
		found := k.mustCode(k.Ping(t.Context()), watchword.ErrUnavailable)
		if len(found.Faults) != 1 || found.Faults[0] != (watchword.Fault{Part: "limits", Reason: c.reason}) {
			t.Errorf("%+v", found.Faults)
		}
	}
}
