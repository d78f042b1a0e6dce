package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/store/memory"
)

func forManagement(r *watchword.CheckRequest) { r.Purpose = "manage_factors" }

// A recovery code is used to replace the set that it was of: the flow that recovery codes are renewed by.
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
	// whichever set is told to be in force must be
	k.clock.advance(time.Hour)
	_, errOld := k.check(k.startChallenge("recovery"), k.rightAnswer("recovery"))
	_, errNew := k.check(k.startChallenge("recovery"), codes[1])
	t.Logf("a code of the old set: %v; of the new set: %v", errOld, errNew)
}

// hookedFactors is a store of factors whose calls a test can hold up.
type hookedFactors struct {
	watchword.Factors
	list, create, update func()
	failList             atomic.Int32 // counts down: the list after so many fails
}

func callIfSet(f func()) {
	if f != nil {
		f()
	}
}

func (g *hookedFactors) List(ctx context.Context, app, subject string) ([]watchword.SealedFactor, error) {
	callIfSet(g.list)
	if g.failList.Load() > 0 && g.failList.Add(-1) == 0 {
		return nil, errors.New("no route to the database")
	}
	return g.Factors.List(ctx, app, subject)
}

func (g *hookedFactors) Create(ctx context.Context, f watchword.SealedFactor) error {
	callIfSet(g.create)
	return g.Factors.Create(ctx, f)
}

func (g *hookedFactors) Update(ctx context.Context, f watchword.SealedFactor) error {
	callIfSet(g.update)
	return g.Factors.Update(ctx, f)
}

// Two copies of the last recovery code: the one that was charged first looks at the factors after the other has spent.
func TestCopyOfLastRecoveryCodeGetsChallengeApproved(t *testing.T) {
	k := newFactorKit(t)
	for len(k.codes) > 1 {
		k.clock.advance(time.Hour)
		if _, err := k.check(k.startChallenge("recovery"), k.rightAnswer("recovery")); err != nil {
			t.Fatal(err)
		}
	}
	k.clock.advance(time.Hour)
	time.Sleep(200 * time.Millisecond) // notes are erased
	id, answer := k.startChallenge("recovery"), k.rightAnswer("recovery")
	var once sync.Once
	var winner error
	held := &hookedFactors{Factors: k.config.Factors}
	held.list = func() {
		once.Do(func() { _, winner = k.check(id, answer) })
	}
	slowNode := k.newNode(func(c *watchword.Config) { c.Factors = held })
	_, err := check(slowNode, id, answer)
	if winner != nil {
		t.Fatalf("the copy that was charged second: %v", winner)
	}
	if !errors.Is(err, watchword.ErrChallengeApproved) {
		t.Errorf("the copy that was charged first hears %v, want challenge_approved", err)
	}
}

// outageStore is a store that nothing reaches for a while; nothing was taken.
type outageStore struct {
	watchword.Store
	down atomic.Bool
}

var errOutage = errors.New("no route to the store")

func (o *outageStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if o.down.Load() {
		return errOutage
	}
	return o.Store.Create(ctx, e, out...)
}

func (o *outageStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if o.down.Load() {
		return errOutage
	}
	return o.Store.Update(ctx, e, out...)
}

// A request that was answered 503 because its reservation could not be made gives the key back later, behind its back. By
// then it may be the reservation of the request that came after it.
func TestReleaseOfFailedReservationKeepsNextReservation(t *testing.T) {
	k := newKit(t)
	store := &outageStore{Store: k.store.Store}
	k.store.Store = store
	ctx := context.Background()
	store.down.Store(true)
	_, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("body"))
	k.requireCode(err, watchword.ErrUnavailable)
	store.down.Store(false)
	second, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("body")) // the client tries again
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(400 * time.Millisecond) // it is still being answered
	third, err := k.newNode().Reserve(ctx, "POST /v1/challenges", "key", []byte("body"))
	if err == nil {
		t.Errorf("a request that is being answered is taken over; with another seed: %v", string(third.Seed) != string(second.Seed))
		req := startByEmail()
		req.Seed = second.Seed
		a := k.start(req)
		req.Seed, req.Unanswered = third.Seed, third.TakenOver
		b := k.start(req)
		t.Errorf("two challenges: %v, %d messages for one Idempotency-Key", a.ID != b.ID, len(k.outbox.all))
	} else if !errors.Is(err, watchword.ErrIdempotencyInFlight) {
		t.Error(err)
	}
	if err := second.Finish(ctx, []byte("200{}")); err != nil {
		t.Errorf("the answer is not kept: %v", err)
	}
}

// A subject that is removed twice: the second removal is forgotten with the first one's entry.
func TestSecondRemovalOfSubjectIsRecordedAsLongAsFirst(t *testing.T) {
	k := newEnrolmentKit(t)
	ctx := context.Background()
	if err := k.RemoveSubject(ctx, subject, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(24 * time.Minute)
	begun := k.beginEnrolment("weak", subject, watchword.Authority{})
	k.clock.advance(30 * time.Second)
	if err := k.RemoveSubject(ctx, subject, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Minute) // the enrolment lives for eight minutes more
	if _, err := k.check(begun, "x", forEnrolment); err == nil {
		t.Error("an enrolment that began before its subject was removed is approved")
	}
}

// slowRemovalStore is a store that is slow to take in that a subject was removed.
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

// An enrolment that ends between two steps of the removal of its subject.
func TestRemoveSubjectRemovesConcurrentEnrolment(t *testing.T) {
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		vouched := watchword.Authority{Admin: true}
		if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
			t.Fatal(err)
		}
		begun := k.beginEnrolment("strong", subject, vouched)
		k.clock.advance(time.Second)
		var enrolled error
		remover := k.newNode(func(c *watchword.Config) {
			c.Store = &slowRemovalStore{c.Store, func() { _, enrolled = k.check(begun, "x", forEnrolment) }}
		})
		if err := remover.RemoveSubject(t.Context(), subject, vouched); err != nil {
			t.Fatal(err)
		}
		if all, err := k.ListFactors(t.Context(), subject); err != nil || len(all) > 0 {
			t.Errorf("%d factors after the subject was removed (the enrolment: %v), %v", len(all), enrolled, err)
		}
	})
}

// A change of factors whose compare-and-set lost looks at the set again, but not at what its authority was earned by.
func TestChangeThatConflictsChecksItsAuthorityAgain(t *testing.T) {
	k := newEnrolmentKit(t)
	ctx := context.Background()
	vouched := watchword.Authority{Admin: true}
	first, err := k.enrol("strong", watchword.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := k.enrol("strong", vouched)
	if err != nil {
		t.Fatal(err)
	}
	proof := k.proofOfFactor("strong", first.Factor.ID)
	var once sync.Once
	held := &hookedFactors{Factors: k.config.Factors}
	held.update = func() {
		once.Do(func() { // the owner removes the stolen key while its proof is being used
			if err := k.RemoveFactor(ctx, first.Factor.ID, vouched); err != nil {
				t.Error(err)
			}
		})
	}
	thief := k.newNode(func(c *watchword.Config) { c.Factors = held })
	if err := thief.RemoveFactor(ctx, second.Factor.ID, proof); !errors.Is(err, watchword.ErrProofRequired) {
		t.Errorf("a proof by a factor that is gone removes another: %v", err)
	}
}

// A database that fails after the factor was created. The same answer goes on with the factor that is there, and the app has
// heard of it.
func TestSameAnswerCompletesEnrolmentAfterDatabaseFailure(t *testing.T) {
	k := newEnrolmentKit(t)
	begun := k.beginEnrolment("weak", subject, watchword.Authority{})
	held := &hookedFactors{Factors: k.config.Factors}
	creations := 0
	held.create = func() {
		if creations++; creations == 2 { // the first one is the entry of the set
			held.failList.Store(1)
		}
	}
	node := k.newNode(func(c *watchword.Config) { c.Factors = held })
	_, err := check(node, begun, "x", forEnrolment)
	k.requireCode(err, watchword.ErrUnavailable)
	if n := len(k.events.ofType("factor.enrolled")); n != 1 {
		t.Errorf("told %d times of the factor that is there", n)
	}
	if _, err := k.check(begun, "x", forEnrolment); err != nil {
		t.Errorf("the same answer: %v", err)
	}
	if all, err := k.ListFactors(context.Background(), subject); err != nil || len(all) != 1 {
		t.Errorf("%d factors, %v", len(all), err)
	}
}

// The same right answer to an enrolment, after its approval was not taken: 503 means that nothing took effect.
func TestSameAnswerCompletesUnavailableEnrolment(t *testing.T) {
	k := newEnrolmentKit(t)
	begun := k.beginEnrolment("weak", subject, watchword.Authority{})
	node := k.newNode(func(c *watchword.Config) { c.Store = &firstClosesFailStore{c.Store, 1} })
	_, err := check(node, begun, "x", forEnrolment, withSeed("one"))
	k.requireCode(err, watchword.ErrUnavailable)
	if _, err := k.check(begun, "x", forEnrolment, withSeed("one")); err != nil {
		t.Errorf("the same request: %v", err)
	}
}

// A double click on an enrolment, one click of which meets a store that fails once.
func TestConcurrentEnrolmentAnswersSucceedDespiteStoreFailure(t *testing.T) {
	k := newEnrolmentKit(t)
	begun := k.beginEnrolment("weak", subject, watchword.Authority{})
	var other error
	var once sync.Once
	failing := &firstClosesFailStore{k.config.Store, 1}
	node := k.newNode(func(c *watchword.Config) { c.Store = failing })
	slowStore := &delayedCloseStore{k.config.Store, func() { once.Do(func() { _, other = check(node, begun, "x", forEnrolment) }) }}
	_, err := check(k.newNode(func(c *watchword.Config) { c.Store = slowStore }), begun, "x", forEnrolment)
	t.Logf("outer %v, inner %v", err, other)
	all, _ := k.ListFactors(context.Background(), subject)
	if err != nil {
		t.Errorf("one click: %v; the other one: %v; %d factors: nobody is approved", other, err, len(all))
	}
}

// A last try that takes longer than two seconds: its copy hears that the challenge is locked, and then it is approved.
func TestCopyOfLastTryIsNotLockedBeforeApproval(t *testing.T) {
	k := newFactorKit(t)
	id := k.startChallenge("hotp")
	for range 2 {
		if _, err := k.check(id, k.wrongAnswer("hotp")); err == nil {
			t.Fatal("approved")
		}
	}
	answer := k.rightAnswer("hotp")
	held := &hookedFactors{Factors: k.config.Factors}
	started := make(chan struct{})
	var once sync.Once
	held.update = func() { once.Do(func() { close(started); time.Sleep(2500 * time.Millisecond) }) }
	node := k.newNode(func(c *watchword.Config) { c.Factors = held })
	first := make(chan error, 1)
	go func() { _, err := check(node, id, answer); first <- err }()
	<-started
	_, copied := k.check(id, answer)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if e := k.requireCode(copied, watchword.ErrUnavailable); !e.Unknown {
		t.Errorf("a copy gets %v, then the challenge is approved", copied)
	}
}

// far is a store and a store of factors behind a network.
type remoteStore struct {
	watchword.Store
	lag time.Duration
}

func (s *remoteStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	time.Sleep(s.lag)
	return s.Store.Create(ctx, e, out...)
}
func (s *remoteStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	time.Sleep(s.lag)
	return s.Store.Get(ctx, id)
}
func (s *remoteStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	time.Sleep(s.lag)
	return s.Store.Update(ctx, e, out...)
}
func (s *remoteStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	time.Sleep(s.lag)
	return s.Store.Attempt(ctx, id, g, b)
}
func (s *remoteStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	time.Sleep(s.lag)
	return s.Store.Close(ctx, id, c)
}

type remoteFactors struct {
	watchword.Factors
	lag time.Duration
}

func (f *remoteFactors) List(ctx context.Context, app, subject string) ([]watchword.SealedFactor, error) {
	time.Sleep(f.lag)
	return f.Factors.List(ctx, app, subject)
}

// With a network of some milliseconds between the server and its stores a decoy started later than anybody else, its status
// came earlier, its page later, by a round trip.
func TestDecoyTakesAsLongOverANetwork(t *testing.T) {
	if os.Getenv("WATCHWORD_TIMING") == "" {
		t.Skip("measures time: WATCHWORD_TIMING=1")
	}
	const lag = 4 * time.Millisecond
	k := newFactorKit(t, func(c *watchword.Config) { c.NoBudget = true })
	node := k.newNode(func(c *watchword.Config) {
		c.Store, c.Factors = &remoteStore{c.Store, lag}, &remoteFactors{c.Factors, lag}
	})
	ctx := context.Background()
	real := watchword.StartRequest{Strategy: "totp", Purpose: "sign_in", Subject: subject}
	for name, f := range map[string]func(req watchword.StartRequest) time.Duration{
		"start": func(req watchword.StartRequest) time.Duration {
			began := time.Now()
			if _, err := node.Start(ctx, req); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		},
		"status": func(req watchword.StartRequest) time.Duration {
			id := k.start(req).ID
			began := time.Now()
			if v, err := node.Status(ctx, id); err != nil || v.Status != watchword.Pending {
				t.Fatal(err)
			}
			return time.Since(began)
		},
		"page": func(req watchword.StartRequest) time.Duration {
			s := k.start(req)
			cookie, err := k.OpenPage(ctx, s.ID, s.Ticket.Reveal())
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := node.ViewPage(ctx, s.ID, cookie.Reveal()); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		},
	} {
		var a, b []time.Duration
		for n := range 400 {
			measure := []func(){
				func() { a = append(a, f(real)) },
				func() { b = append(b, f(decoyStart("totp", fmt.Sprint("nobody ", n)))) },
			}
			measure[n%2]()
			measure[1-n%2]()
		}
		auc, apart := areaUnderCurve(a, b), median(b).Seconds()/median(a).Seconds()-1
		t.Logf("%s: somebody %s, a decoy %s (medians, %+.1f %%), AUC %.3f", name, median(a), median(b), 100*apart, auc)
		if max(auc, 1-auc) > 0.55 || max(apart, -apart) > 0.05 {
			t.Errorf("%s: a decoy can be distinguished", name)
		}
	}
}

// What is kept of decoys takes the place of challenges for days.
func TestDecoyEntriesLeaveRoomInStore(t *testing.T) {
	var c *clock
	k := newFactorKit(t, func(cfg *watchword.Config) {
		cfg.Store = memory.New(memory.Config{Clock: cfg.Clock, MaxEntries: 100})
	})
	c = k.clock
	for n := range 100 { // one wrong answer for each name, ten minutes apart: no challenge is left of them
		who := fmt.Sprint("nobody ", n)
		s, err := k.Start(context.Background(), decoyStart("totp", who))
		if err != nil {
			t.Fatalf("decoy %d: %v: nobody can start any more", n, err)
		}
		if _, err := k.check(s.ID, k.wrongAnswer("totp"), answerAs(who)); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Fatalf("decoy %d: %v: nobody can start any more", n, err)
		}
		c.advance(30 * time.Minute)
	}
	if _, err := k.Start(context.Background(), startByEmail()); err != nil {
		t.Errorf("100 decoys, one in half an hour, and nobody can start any more: %v", err)
	}
}

// Of two resends at once one sends nothing, and is counted all the same.
func TestResendThatSendsNothingIsNotCounted(t *testing.T) {
	var limiter *lostReplyLimiter
	k := newKit(t, func(c *watchword.Config) {
		l, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{Now: c.Clock}),
			[]ratelimit.Rule{{Name: "four", Limit: 4, Window: time.Hour, By: ratelimit.BySubject}}, c.App)
		if err != nil {
			t.Fatal(err)
		}
		limiter = &lostReplyLimiter{Limiter: l}
		c.Starts = limiter
	})
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	var once sync.Once
	var other error
	held := &updateInterferingStore{k.config.Store, func() { once.Do(func() { _, other = k.Resend(context.Background(), s.ID, watchword.ResendRequest{}) }) }}
	node := k.newNode(func(c *watchword.Config) { c.Store = held })
	_, err := node.Resend(context.Background(), s.ID, watchword.ResendRequest{})
	if other != nil || !errors.Is(err, watchword.ErrResendTooSoon) {
		t.Fatal(other, err)
	}
	time.Sleep(300 * time.Millisecond)
	// one start and one resend were sent: two are left
	for n := range 2 {
		if err := limiter.Limiter.Take(context.Background(), watchword.Bucket{By: ratelimit.BySubject, Key: limiter.key}); err != nil {
			t.Errorf("of four sends two were made, the %d. one more: %v", n+1, err)
		}
	}
}

type updateInterferingStore struct {
	watchword.Store
	before func()
}

func (m *updateInterferingStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	m.before()
	return m.Store.Update(ctx, e, out...)
}

// A start with a seed that was used before, and a store that fails when the challenge of that time is read.
func TestUnavailableRepeatedStartIsNotCounted(t *testing.T) {
	var limiter *lostReplyLimiter
	k := newKit(t, func(c *watchword.Config) {
		l, err := ratelimit.New(ratelimit.NewMemory(ratelimit.MemoryConfig{Now: c.Clock}),
			[]ratelimit.Rule{{Name: "three", Limit: 3, Window: time.Hour, By: ratelimit.BySubject}}, c.App)
		if err != nil {
			t.Fatal(err)
		}
		limiter = &lostReplyLimiter{Limiter: l}
		c.Starts = limiter
	})
	req := startByEmail()
	req.Seed = []byte("one")
	k.start(req)
	node := k.newNode(func(c *watchword.Config) { c.Store = &getFailingStore{c.Store} })
	_, err := node.Start(context.Background(), req)
	k.requireCode(err, watchword.ErrUnavailable)
	time.Sleep(300 * time.Millisecond)
	for n := range 2 {
		if err := limiter.Limiter.Take(context.Background(), watchword.Bucket{By: ratelimit.BySubject, Key: limiter.key}); err != nil {
			t.Errorf("of three starts one came about, the %d. one more: %v", n+1, err)
		}
	}
}

type getFailingStore struct{ watchword.Store }

func (getFailingStore) Get(context.Context, string) (watchword.Entry, error) {
	return watchword.Entry{}, errOutage
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

// The note of the first factor of a subject is dated by the engine's clock and read by the database's.
func TestNoteIsValidForAMinuteByFactorStoreClock(t *testing.T) {
	factors := &clock{now: time.Date(2026, 5, 4, 11, 57, 0, 0, time.UTC)} // the engine's is three minutes ahead
	k := newKit(t, func(c *watchword.Config) {
		c.Factors = &memory.Factors{Clock: factors.Now}
		c.Strategies = append(c.Strategies, newEnrollingStrategy("weak", watchword.StrengthOTP))
		c.Budget = []watchword.Window{{Max: 1, Per: time.Hour}}
	})
	begun := k.beginEnrolment("weak", subject, watchword.Authority{})
	_, err := check(k.newNode(func(c *watchword.Config) { c.Store = &closeFailingStore{c.Store} }), begun, "x", forEnrolment)
	k.requireCode(err, watchword.ErrUnavailable)
	factors.advance(2 * time.Minute)
	k.clock.advance(2 * time.Minute)
	if _, err := k.check(begun, "x", forEnrolment); err == nil { // no budget: by its note alone
		t.Error("a note is believed after two minutes")
	}
}

// A last wrong answer whose failure cannot be counted: the challenge is locked, and nobody is told.
func TestLockedEventIsSentWhenFailureCannotBeCounted(t *testing.T) {
	k := newFactorKit(t)
	id := k.startChallenge("hotp")
	for range 2 {
		_, _ = k.check(id, k.wrongAnswer("hotp"))
	}
	node := k.newNode(func(c *watchword.Config) { c.Factors = &readOnlyFactors{c.Factors} })
	_, err := check(node, id, k.wrongAnswer("hotp"))
	v, _ := k.Status(context.Background(), id)
	if n := len(k.events.ofType("challenge.locked")); v.Status == watchword.Locked && n != 1 {
		t.Errorf("the last answer gets %v, the challenge reads %s, and %d events say so", err, v.Status, n)
	}
}

type readOnlyFactors struct{ watchword.Factors }

func (readOnlyFactors) Update(context.Context, watchword.SealedFactor) error {
	return errors.New("cannot execute UPDATE in a read-only transaction")
}

// A resend whose reply was lost: nothing is sent, and the same request is refused as too soon.
func TestRepeatedResendSendsAfterUnavailable(t *testing.T) {
	k := newKit(t)
	store := &lostReplyStore{Store: k.store.Store, taken: true}
	k.store.Store = store
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	store.step = "update"
	_, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{Seed: []byte("one")})
	k.requireCode(err, watchword.ErrUnavailable)
	_, err = k.Resend(context.Background(), s.ID, watchword.ResendRequest{Seed: []byte("two")})
	k.requireCode(err, watchword.ErrResendTooSoon)
	v, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{Seed: []byte("one")})
	if err != nil || len(k.outbox.ofChallenge(s.ID)) != 2 {
		now, _ := k.Status(context.Background(), s.ID)
		t.Errorf("repeated: %v %v; %d messages were handed over, the delivery reads %s, %d sends are left", v.Status, err,
			len(k.outbox.ofChallenge(s.ID)), now.Delivery.Status, now.SendsLeft)
	}
}

// An approval whose reply was lost and that the same request has heard of sends its event.
func TestApprovedEventIsSentAfterLostReply(t *testing.T) {
	k := newFactorKit(t)
	store := &lostReplyStore{Store: k.store.Store, taken: true}
	k.store.Store = store
	id, answer := k.startChallenge("hotp"), k.rightAnswer("hotp")
	before := len(k.events.ofType("challenge.approved"))
	store.step = "close"
	_, err := k.check(id, answer, withSeed("one"))
	k.requireCode(err, watchword.ErrUnavailable)
	if _, err := k.check(id, answer, withSeed("one")); err != nil {
		t.Fatal(err)
	}
	if n := len(k.events.ofType("challenge.approved")) - before; n != 1 {
		t.Errorf("%d events challenge.approved", n)
	}
}

// Whoever reads a challenge that is won while its factor is being removed reads how it ended.
func TestStatusReturnsEndOfChallengeThatEndsConcurrently(t *testing.T) {
	k := newFactorKit(t)
	id, answer := k.startChallenge("hotp"), k.rightAnswer("hotp")
	held := &hookedFactors{Factors: k.config.Factors}
	var once sync.Once
	held.list = func() {
		once.Do(func() {
			if _, err := k.check(id, answer); err != nil {
				t.Error(err)
			}
			k.removeAll()
		})
	}
	v, err := k.newNode(func(c *watchword.Config) { c.Factors = held }).Status(context.Background(), id)
	if err != nil || v.Status != watchword.Approved {
		t.Errorf("%s, %v", v.Status, err)
	}
}
