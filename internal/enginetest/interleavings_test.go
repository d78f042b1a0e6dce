package enginetest_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func forManagement(r *watchword.CheckRequest) { r.Purpose = "manage_factors" }

// hookedFactors is a factor store whose calls a test can delay or fail.
type hookedFactors struct {
	watchword.Factors
	list, create, update func()
	failList             atomic.Int32 // counts down: the list after that many calls fails
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

// Of two copies of the last recovery code, the one that was charged first reads the factors after the other has spent them.
func TestCopyOfLastRecoveryCodeGetsChallengeApproved(t *testing.T) {
	k := newFactorKit(t)
	for len(k.codes) > 1 {
		k.clock.advance(time.Hour)
		if _, err := k.check(k.startChallenge("recovery"), k.rightAnswer("recovery")); err != nil {
			t.Fatal(err)
		}
	}
	k.clock.advance(time.Hour)
	k.AwaitBackground(t.Context()) // the notes are removed
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
		t.Errorf("the copy that was charged first got %v, want challenge_approved", err)
	}
}

// outageStore is a store that is unavailable for a while and changes nothing.
type outageStore struct {
	watchword.Store
	down atomic.Bool
}

var errOutage = errors.New("no route to the store")

func (o *outageStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if o.down.Load() {
		return errors.Join(errOutage, watchword.ErrOutcomeUnknown)
	}
	return o.Store.Create(ctx, e, out...)
}

func (o *outageStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if o.down.Load() {
		return errors.Join(errOutage, watchword.ErrOutcomeUnknown)
	}
	return o.Store.Update(ctx, e, out...)
}

// A request whose reservation could not be stored got 503 and releases the key later, in the background. Another request may
// have reserved the key by then.
func TestReleaseOfFailedReservationKeepsNextReservation(t *testing.T) {
	k := newKit(t)
	store := &outageStore{Store: k.store.Store}
	k.store.Store = store
	ctx := context.Background()
	store.down.Store(true)
	_, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("body"))
	k.requireCode(err, watchword.ErrUnavailable)
	store.down.Store(false)
	second, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("body")) // the client repeats the request
	if err != nil {
		t.Fatal(err)
	}
	k.AwaitBackground(ctx) // the key of the first is released while the second is still being answered
	third, err := k.newNode().Reserve(ctx, "POST /v1/challenges", "key", []byte("body"))
	if err == nil {
		t.Errorf("a request that is being answered is taken over; with another seed: %v", string(third.Seed) != string(second.Seed))
		req := startByEmail()
		req.Seed = second.Seed
		a := k.start(req)
		req.Seed, req.Unanswered = third.Seed, third.TakenOver
		b := k.start(req)
		t.Errorf("two challenges: %v, %d messages for one Idempotency-Key", a.ID != b.ID, len(k.outbox.list()))
	} else if !errors.Is(err, watchword.ErrIdempotencyInFlight) {
		t.Error(err)
	}
	if err := second.Finish(ctx, []byte("200{}")); err != nil {
		t.Errorf("the answer is not kept: %v", err)
	}
}

// A copy of a last try that is still evaluated gets ErrUnavailable and not ErrAttemptsExhausted, because the try may be
// approved.
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
	started, copied := make(chan struct{}), make(chan struct{})
	var once sync.Once
	held.update = func() { once.Do(func() { close(started); <-copied }) }
	node := k.newNode(func(c *watchword.Config) { c.Factors = held })
	first := make(chan error, 1)
	go func() { _, err := check(node, id, answer); first <- err }()
	<-started
	_, err := k.check(id, answer)
	close(copied)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if e := k.requireCode(err, watchword.ErrUnavailable); !e.Unknown {
		t.Errorf("a copy gets %v, then the challenge is approved", err)
	}
}

// The event of a locked challenge is sent although the failure of its last try cannot be counted.
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

// A repeated resend whose reply was lost sends the message and is not refused as too soon.
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

// An approval whose reply was lost sends its event when the request is repeated.
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

// Status of a challenge that is approved while its factor is being removed returns Approved.
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
