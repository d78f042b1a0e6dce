package enginetest_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/sql/postgres"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// forEachFactorStore runs a test with strategies that enrol a factor for each challenge, over each kind of factor store.
func forEachFactorStore(t *testing.T, test func(t *testing.T, k *kit)) {
	open := func(t *testing.T, factors watchword.Factors) *kit {
		return newKit(t, func(c *watchword.Config) {
			c.Factors = factors
			c.Strategies = append(c.Strategies, newEnrollingStrategy("weak", watchword.StrengthOTP), newEnrollingStrategy("strong", watchword.StrengthKey),
				newEnrollingStrategy("last_resort", watchword.StrengthRecovery))
		})
	}
	t.Run("memory", func(t *testing.T) { test(t, open(t, &memory.Factors{})) })
	t.Run("sqlite", func(t *testing.T) {
		f, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "watchword.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		test(t, open(t, f))
	})
	t.Run("postgres", func(t *testing.T) {
		f, err := postgres.Open(t.Context(), pgtest.Start(t).Database(t))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		test(t, open(t, f))
	})
}

func (k *kit) beginEnrolment(strategy, who string, a watchword.Authority) string {
	k.t.Helper()
	return k.start(watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: who, Authority: a}).ID
}

func enrolAs(who string) func(*watchword.CheckRequest) {
	return func(r *watchword.CheckRequest) { r.Purpose, r.Subject = "enrol", who }
}

// Of two enrolments that began without a proof, because nothing was enrolled, one adds its factor, whatever the order of
// their ends.
func TestConcurrentEnrolmentsWithoutProofAddOneFactor(t *testing.T) {
	t.Parallel()
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		nodes := []*watchword.Engine{k.Engine, k.newNode()}
		for round := range 40 {
			who := fmt.Sprintf("racer %d", round)
			ids := []string{k.beginEnrolment("weak", who, watchword.Authority{}), k.beginEnrolment("strong", who, watchword.Authority{})}
			got := runConcurrently(2, func(i int) error { _, err := check(nodes[i], ids[i], "x", enrolAs(who)); return err })
			if got[""] != 1 || got["proof_required"] != 1 {
				t.Errorf("round %d: %v", round, got)
			}
			if all, err := k.ListFactors(t.Context(), who); err != nil || len(all) != 1 {
				t.Errorf("round %d: %d factors, %v", round, len(all), err)
			}
		}
	})
}

// A subject has at most fifty factors, also if many enrolments end at once.
func TestConcurrentEnrolmentsDoNotExceedFactorLimit(t *testing.T) {
	k := newEnrolmentKit(t)
	var ids []string
	for range 60 {
		ids = append(ids, k.beginEnrolment("weak", subject, watchword.Authority{Admin: true}))
	}
	var enrolled sync.Map
	for len(ids) > 0 { // four at a time: with more of them some would exhaust their retries
		batch := ids[:min(4, len(ids))]
		ids = ids[len(batch):]
		runConcurrently(len(batch), func(i int) error {
			_, err := k.check(batch[i], "x", forEnrolment)
			if err == nil {
				enrolled.Store(batch[i], true)
			}
			return err
		})
	}
	all, err := k.ListFactors(t.Context(), subject)
	if err != nil || len(all) != 50 {
		t.Errorf("%d factors, %v", len(all), err)
	}
}

// An authority ends with the factor that earned it.
func TestAuthorityEndsWithItsFactor(t *testing.T) {
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		ctx := t.Context()
		adminAuthority := watchword.Authority{Admin: true}
		first, err := k.enrol("strong", watchword.Authority{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.enrol("strong", adminAuthority); err != nil { // so that the subject always has a factor
			t.Fatal(err)
		}
		enrolled := watchword.Authority{Claims: first.Claims} // the receipt of an enrolment is a proof too
		started := k.beginEnrolment("weak", subject, k.proofOfFactor("strong", first.Factor.ID))
		proof := k.proofOfFactor("strong", first.Factor.ID)
		if err := k.RemoveFactor(ctx, first.Factor.ID, adminAuthority); err != nil {
			t.Fatal(err)
		}
		_, err = k.check(started, "x", forEnrolment)
		k.requireCode(err, watchword.ErrProofRequired)
		for name, a := range map[string]watchword.Authority{"a receipt": proof, "an enrolment's receipt": enrolled} {
			if _, err := k.enrol("weak", a); err == nil {
				t.Errorf("%s outlives its factor", name)
			}
		}
		k.requireCode(k.RemoveSubject(ctx, subject, proof), watchword.ErrProofRequired)
	})
}

// proofOfFactor returns a receipt that one factor has earned.
func (k *kit) proofOfFactor(strategy, factor string) watchword.Authority {
	k.t.Helper()
	for _, s := range k.config.Strategies {
		if keeper, ok := s.(*enrollingStrategy); ok && keeper.name == strategy {
			keeper.verify = func(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
				f, err := c.FindFactor(ctx, factor)
				return watchword.Proof{AMR: []string{"otp"}, Spend: &f}, err
			}
			defer func() { keeper.verify = acceptAll }()
		}
	}
	return k.proof(strategy)
}

// An authority ends with its subject, also if the subject enrols again, and if there was nothing to remove.
func TestAuthorityEndsWithItsSubject(t *testing.T) {
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		ctx := t.Context()
		adminAuthority := watchword.Authority{Admin: true}
		nothing := k.beginEnrolment("weak", "user_43", watchword.Authority{})
		vouchedFor := k.beginEnrolment("weak", "user_43", adminAuthority)
		if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
			t.Fatal(err)
		}
		started := k.beginEnrolment("weak", subject, k.proof("weak"))
		admins := k.beginEnrolment("weak", subject, adminAuthority)
		proof, sent := k.proof("weak"), k.proof("otp")
		k.clock.advance(time.Second)
		for _, who := range []string{subject, "user_43"} {
			if err := k.RemoveSubject(ctx, who, adminAuthority); err != nil {
				t.Fatal(err)
			}
		}
		if left, err := k.config.Factors.List(ctx, "shop", subject); err != nil || len(left) != 0 {
			t.Errorf("%d rows are left of a subject that was removed, %v", len(left), err)
		}
		k.clock.advance(time.Second)
		dead := func(when string) {
			t.Helper()
			for name, id := range map[string]string{"with a proof": started, "with the app's word": admins} {
				if _, err := k.check(id, "x", forEnrolment); err == nil {
					t.Errorf("%s, an enrolment that began %s", when, name)
				}
			}
			for name, id := range map[string]string{"with nothing": nothing, "with the app's word": vouchedFor} {
				if _, err := k.check(id, "x", enrolAs("user_43")); err == nil {
					t.Errorf("%s, an enrolment of another subject that began %s", when, name)
				}
			}
		}
		dead("nothing is enrolled")
		if v, err := k.Status(ctx, started); err != nil || v.Status != watchword.Locked && v.Status != watchword.Canceled {
			t.Errorf("it reads %s, %v", v.Status, err)
		}
		if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
			t.Fatal(err)
		}
		dead("enrolled afresh")
		for name, a := range map[string]watchword.Authority{"a factor": proof, "a sent code": sent} {
			if _, err := k.enrol("weak", a); err == nil {
				t.Errorf("a receipt of %s outlives its subject", name)
			}
		}
		if _, err := k.enrol("weak", k.proof("weak")); err != nil { // a proof earned after the removal is valid
			t.Error(err)
		}
	})
}

// A removed factor is not created again by the challenge that enrolled it.
func TestChallengeDoesNotCreateItsRemovedFactorAgain(t *testing.T) {
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		id := k.beginEnrolment("weak", subject, watchword.Authority{})
		_, err := check(k.newNode(func(c *watchword.Config) { c.Store = &closeFailingStore{c.Store} }), id, "x", forEnrolment)
		k.requireCode(err, watchword.ErrUnavailable)
		all, err := k.ListFactors(t.Context(), subject)
		if err != nil || len(all) != 1 {
			t.Fatalf("%d factors after a crash, %v", len(all), err)
		}
		if err := k.RemoveFactor(t.Context(), all[0].ID, watchword.Authority{Admin: true}); err != nil {
			t.Fatal(err)
		}
		_, err = k.check(id, "x", forEnrolment)
		k.requireCode(err, watchword.ErrChallengeCanceled)
		if all, err = k.ListFactors(t.Context(), subject); err != nil || len(all) != 0 {
			t.Errorf("%d factors, %v", len(all), err)
		}
	})
}

// closeFailingStore fails every Close, like a process that dies before it closes a challenge.
type closeFailingStore struct{ watchword.Store }

func (closeFailingStore) Close(context.Context, string, watchword.Closing) error { return errDied }

// If the process dies before the challenge is closed, the same answer completes the enrolment.
func TestSameAnswerCompletesEnrolmentAfterCrash(t *testing.T) {
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		id := k.beginEnrolment("weak", subject, watchword.Authority{})
		_, err := check(k.newNode(func(c *watchword.Config) { c.Store = &closeFailingStore{c.Store} }), id, "x", forEnrolment)
		k.requireCode(err, watchword.ErrUnavailable)
		r, err := k.check(id, "x", forEnrolment)
		if err != nil || r.Factor == nil {
			t.Fatalf("%+v %v", r, err)
		}
		if all, err := k.ListFactors(t.Context(), subject); err != nil || len(all) != 1 {
			t.Errorf("%d factors, %v", len(all), err)
		}
	})
}

// A subject that is removed while it enrols has no factor of an enrolment that was refused.
func TestRemovedSubjectHasNoFactorOfRefusedEnrolment(t *testing.T) {
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		for round := range 40 {
			who := fmt.Sprintf("leaver %d", round)
			id := k.beginEnrolment("weak", who, watchword.Authority{})
			var enrolled error
			runConcurrently(2, func(i int) error {
				if i == 0 {
					_, enrolled = k.check(id, "x", enrolAs(who))
					return enrolled
				}
				return k.RemoveSubject(t.Context(), who, watchword.Authority{Admin: true})
			})
			all, err := k.ListFactors(t.Context(), who)
			if err != nil || len(all) > 0 && enrolled != nil {
				t.Errorf("round %d: %d factors of an enrolment that ended in %v, %v", round, len(all), enrolled, err)
			}
		}
	})
}

// If the Store has lost the removal of a subject, the factor store still ends the authority.
func TestAuthorityEndsWithItsSubjectWhenStoreLosesRemoval(t *testing.T) {
	k := newEnrolmentKit(t)
	adminAuthority := watchword.Authority{Admin: true}
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	started := k.beginEnrolment("weak", subject, adminAuthority)
	elsewhere := k.newNode(func(c *watchword.Config) { c.Store = memory.New(memory.Config{Clock: c.Clock}) })
	if err := elsewhere.RemoveSubject(t.Context(), subject, adminAuthority); err != nil {
		t.Fatal(err)
	}
	_, err := k.check(started, "x", forEnrolment)
	k.requireCode(err, watchword.ErrProofRequired)
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	_, err = k.check(started, "x", forEnrolment)
	k.requireCode(err, watchword.ErrProofRequired)
}

// A damaged entry of a set is replaced and does not block anybody.
func TestDamagedFactorSetIsReplaced(t *testing.T) {
	k := newEnrolmentKit(t)
	ctx := t.Context()
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	started := k.beginEnrolment("strong", subject, k.proof("weak"))
	for _, f := range k.rows() {
		if f.Strategy == "factor_set" {
			f.Data = []byte("damaged")
			if err := k.config.Factors.Update(ctx, f); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err := k.check(started, "x", forEnrolment)
	k.requireCode(err, watchword.ErrProofRequired)
	_, err = k.enrol("strong", watchword.Authority{})
	k.requireCode(err, watchword.ErrProofRequired)
	var last error
	for range 2 { // the first of these changes replaces the entry
		_, last = k.enrol("strong", k.proof("weak"))
		if last == nil {
			break
		}
	}
	if last != nil {
		t.Error(last)
	}
}

func (k *kit) rows() []watchword.SealedFactor {
	k.t.Helper()
	rows, err := k.config.Factors.List(k.t.Context(), "shop", subject)
	if err != nil {
		k.t.Fatal(err)
	}
	return rows
}
