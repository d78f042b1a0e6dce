package enginetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A recovery code authorizes the replacement of its own set, which is how recovery codes are renewed.
func TestRecoveryCodeAuthorizesReplacingItsOwnSet(t *testing.T) {
	k := newFactorKit(t)
	id := k.start(watchword.StartRequest{Strategy: "recovery", Purpose: "manage_factors", Subject: subject}).ID
	r, err := k.check(id, k.rightAnswer("recovery"), forManagement)
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Second)
	s, err := k.Start(context.Background(), watchword.StartRequest{Strategy: "recovery", Purpose: "enrol", Subject: subject, Authority: watchword.Authority{Claims: r.Claims}})
	if err != nil {
		t.Fatal(err)
	}
	codes := s.Public["codes"].([]string)
	if _, err := k.check(s.ID, codes[0], forEnrolment); err != nil {
		t.Errorf("the new set: %v", err)
	}
	// the set that was returned last must be the active one
	k.clock.advance(time.Hour)
	_, errOld := k.check(k.startChallenge("recovery"), k.rightAnswer("recovery"))
	_, errNew := k.check(k.startChallenge("recovery"), codes[1])
	t.Logf("a code of the old set: %v; of the new set: %v", errOld, errNew)
}

// The second removal of a subject in the same period is recorded for as long as the first.
func TestSecondRemovalOfSubjectIsRecordedAsLongAsFirst(t *testing.T) {
	k := newEnrolmentKit(t)
	ctx := context.Background()
	if err := k.RemoveSubject(ctx, subject, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(24 * time.Minute)
	started := k.beginEnrolment("weak", subject, watchword.Authority{})
	k.clock.advance(30 * time.Second)
	if err := k.RemoveSubject(ctx, subject, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Minute) // the enrolment is pending for eight more minutes
	if _, err := k.check(started, "x", forEnrolment); err == nil {
		t.Error("an enrolment that began before its subject was removed is approved")
	}
}

// slowRemovalStore delays the record of a subject's removal.
type slowRemovalStore struct {
	watchword.Store
	before func()
}

func (r *slowRemovalStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	before := r.before
	r.before = nil
	callIfSet(before)
	return r.Store.Create(ctx, e, out...)
}

// An enrolment ends between two steps of the removal of its subject.
func TestRemoveSubjectRemovesConcurrentEnrolment(t *testing.T) {
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		adminAuthority := watchword.Authority{Admin: true}
		if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
			t.Fatal(err)
		}
		started := k.beginEnrolment("strong", subject, adminAuthority)
		k.clock.advance(time.Second)
		var enrolled error
		remover := k.newNode(func(c *watchword.Config) {
			c.Store = &slowRemovalStore{c.Store, func() { _, enrolled = k.check(started, "x", forEnrolment) }}
		})
		if err := remover.RemoveSubject(t.Context(), subject, adminAuthority); err != nil {
			t.Fatal(err)
		}
		if all, err := k.ListFactors(t.Context(), subject); err != nil || len(all) > 0 {
			t.Errorf("%d factors after the subject was removed (the enrolment: %v), %v", len(all), enrolled, err)
		}
	})
}

// A change of factors that lost a compare-and-set reads the set again and checks the factor that earned its authority again.
func TestChangeThatConflictsChecksItsAuthorityAgain(t *testing.T) {
	k := newEnrolmentKit(t)
	ctx := context.Background()
	adminAuthority := watchword.Authority{Admin: true}
	first, err := k.enrol("strong", watchword.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.enrol("strong", adminAuthority)
	if err != nil {
		t.Fatal(err)
	}
	proof := k.proofOfFactor("strong", first.Factor.ID)
	var once sync.Once
	held := &hookedFactors{Factors: k.config.Factors}
	held.update = func() {
		once.Do(func() { // the owner removes the stolen key while its proof is in use
			if err := k.RemoveFactor(ctx, first.Factor.ID, adminAuthority); err != nil {
				t.Error(err)
			}
		})
	}
	attackerNode := k.newNode(func(c *watchword.Config) { c.Factors = held })
	if err := attackerNode.RemoveFactor(ctx, second.Factor.ID, proof); !errors.Is(err, watchword.ErrProofRequired) {
		t.Errorf("a proof by a factor that is gone removes another: %v", err)
	}
}

// The database fails after the factor was created. The same answer continues with that factor, and the app has got its event.
func TestSameAnswerCompletesEnrolmentAfterDatabaseFailure(t *testing.T) {
	k := newEnrolmentKit(t)
	started := k.beginEnrolment("weak", subject, watchword.Authority{})
	held := &hookedFactors{Factors: k.config.Factors}
	creations := 0
	held.create = func() {
		if creations++; creations == 2 { // the first one creates the entry of the set
			held.failList.Store(1)
		}
	}
	node := k.newNode(func(c *watchword.Config) { c.Factors = held })
	_, err := check(node, started, "x", forEnrolment)
	k.requireCode(err, watchword.ErrUnavailable)
	if n := len(k.events.ofType("factor.enrolled")); n != 1 {
		t.Errorf("%d enrolment events for the existing factor", n)
	}
	if _, err := k.check(started, "x", forEnrolment); err != nil {
		t.Errorf("the same answer: %v", err)
	}
	if all, err := k.ListFactors(context.Background(), subject); err != nil || len(all) != 1 {
		t.Errorf("%d factors, %v", len(all), err)
	}
}

// The same right answer to an enrolment is approved after a 503, which means that nothing was changed.
func TestSameAnswerCompletesUnavailableEnrolment(t *testing.T) {
	k := newEnrolmentKit(t)
	started := k.beginEnrolment("weak", subject, watchword.Authority{})
	node := k.newNode(func(c *watchword.Config) { c.Store = &firstClosesFailStore{c.Store, 1} })
	_, err := check(node, started, "x", forEnrolment, withSeed("one"))
	k.requireCode(err, watchword.ErrUnavailable)
	if _, err := k.check(started, "x", forEnrolment, withSeed("one")); err != nil {
		t.Errorf("the same request: %v", err)
	}
}

// Two copies of an enrolment's answer, for one of which the store fails once.
func TestConcurrentEnrolmentAnswersSucceedDespiteStoreFailure(t *testing.T) {
	k := newEnrolmentKit(t)
	started := k.beginEnrolment("weak", subject, watchword.Authority{})
	var other error
	var once sync.Once
	failing := &firstClosesFailStore{k.config.Store, 1}
	node := k.newNode(func(c *watchword.Config) { c.Store = failing })
	slowStore := &delayedCloseStore{k.config.Store, func() { once.Do(func() { _, other = check(node, started, "x", forEnrolment) }) }}
	_, err := check(k.newNode(func(c *watchword.Config) { c.Store = slowStore }), started, "x", forEnrolment)
	t.Logf("outer %v, inner %v", err, other)
	all, _ := k.ListFactors(context.Background(), subject)
	if err != nil {
		t.Errorf("one click: %v; the other one: %v; %d factors: no answer is approved", other, err, len(all))
	}
}

// A decoy is never approved.
func TestDecoyEnrolmentRejectsRightAnswer(t *testing.T) {
	k := newEnrolmentKit(t)
	s, err := k.Start(context.Background(), watchword.StartRequest{Strategy: "weak", Purpose: "enrol", Subject: subject, Decoy: true})
	if err != nil {
		t.Skip(err)
	}
	if _, err := k.check(s.ID, "x", forEnrolment); err == nil {
		v, _ := k.Status(context.Background(), s.ID)
		all, _ := k.ListFactors(context.Background(), subject)
		t.Errorf("a decoy is approved; it reads %s, and %d factors are enrolled", v.Status, len(all))
	}
}
