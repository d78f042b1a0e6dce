package enginetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// An unclosableStore fails to close entries.
type unclosableStore struct{ watchword.Store }

func (unclosableStore) Close(context.Context, string, watchword.Closing) error {
	return errors.New("connection lost")
}

// A refused try that cannot be settled is logged. The caller gets the refusal.
func TestEngineLogsRefusedTryThatIsNotSettled(t *testing.T) {
	t.Parallel()
	refusing := &scriptedVerifier{verify: func(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
		return watchword.Proof{}, watchword.ErrFactorDisabled
	}}
	k := newKit(t, withVerifier(refusing), func(c *watchword.Config) { c.Store = unclosableStore{c.Store} })
	_, err := k.check(k.start(verifierStart()).ID, "x")
	k.requireCode(err, watchword.ErrFactorDisabled)
	if log := k.log.String(); !strings.Contains(log, `"msg":"refused try not settled"`) || !strings.Contains(log, "connection lost") {
		t.Errorf("the log: %s", log)
	}
}

// A failingFactors store fails to remove factors as long as it has an error.
type failingFactors struct {
	watchword.Factors
	err error
}

func (f *failingFactors) Delete(ctx context.Context, app, id string) error {
	if f.err != nil {
		return f.err
	}
	return f.Factors.Delete(ctx, app, id)
}

// The log has a line for each change that the app has vouched for, and none for one that was not made.
func TestEngineLogsChangesOnTheAppsAuthority(t *testing.T) {
	t.Parallel()
	factors := &failingFactors{}
	accepting := &scriptedVerifier{verify: rejectAll, enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
		return watchword.Factor{ID: "fa_1"}, nil
	}}
	k := newKit(t, withVerifier(accepting), func(c *watchword.Config) { factors.Factors, c.Factors = c.Factors, factors })
	admin := watchword.Authority{Admin: true}
	wantLines := func(after string, want int) {
		t.Helper()
		if n := strings.Count(k.log.String(), "on the app's authority"); n != want {
			t.Errorf("after %s: %d lines, want %d", after, n, want)
		}
	}
	s, err := k.Start(t.Context(), watchword.StartRequest{Strategy: "scripted", Purpose: "enrol", Subject: subject, Authority: admin})
	if err != nil {
		t.Fatal(err)
	}
	wantLines("the start of an enrolment", 0)
	if _, err := k.check(s.ID, "x", forEnrolment); err != nil {
		t.Fatal(err)
	}
	wantLines("the enrolment", 1)
	factors.err = errors.New("connection lost")
	if err := k.RemoveFactor(t.Context(), "fa_1", admin); err == nil {
		t.Error("the factor was removed")
	}
	wantLines("a removal that failed", 1)
	factors.err = nil
	if err := k.RemoveFactor(t.Context(), "fa_1", admin); err != nil {
		t.Fatal(err)
	}
	wantLines("the removal", 2)
}
