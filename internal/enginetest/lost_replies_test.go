package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// lostReplyStore fails its next step of one kind with an unknown outcome, either after the step was done or without doing it.
type lostReplyStore struct {
	watchword.Store
	step  string // create, attempt, close or update; empty: no step fails
	taken bool
}

var errLostReply = fmt.Errorf("a reply was lost: %w", watchword.ErrOutcomeUnknown)

func (u *lostReplyStore) fails(step string) bool {
	if u.step != step {
		return false
	}
	u.step = ""
	return true
}

func (u *lostReplyStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if !u.fails("create") {
		return u.Store.Create(ctx, e, out...)
	}
	if u.taken {
		_ = u.Store.Create(ctx, e, out...)
	}
	return errLostReply
}

func (u *lostReplyStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	if !u.fails("attempt") {
		return u.Store.Attempt(ctx, id, g, b)
	}
	if u.taken {
		_, _ = u.Store.Attempt(ctx, id, g, b)
	}
	return watchword.Entry{}, errLostReply
}

func (u *lostReplyStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	if !u.fails("close") {
		return u.Store.Close(ctx, id, c)
	}
	if u.taken {
		_ = u.Store.Close(ctx, id, c)
	}
	return errLostReply
}

func (u *lostReplyStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if !u.fails("update") {
		return u.Store.Update(ctx, e, out...)
	}
	if u.taken {
		_ = u.Store.Update(ctx, e, out...)
	}
	return errLostReply
}

func withSeed(seed string) func(*watchword.CheckRequest) {
	return func(r *watchword.CheckRequest) { r.Seed = []byte(seed) }
}

// An answerCase is a challenge with its right answer, and the step of the store that approves it.
type answerCase struct{ id, answer, step string }

// answerCases returns functions that start a challenge of each kind.
func answerCases(k *factorKit) map[string]func() answerCase {
	factor := func(strategy string) func() answerCase {
		return func() answerCase { return answerCase{k.startChallenge(strategy), k.rightAnswer(strategy), "close"} }
	}
	return map[string]func() answerCase{
		"a sent code": func() answerCase {
			s := k.start(startByEmail())
			return answerCase{s.ID, k.code(s.ID), "attempt"}
		},
		"a counter": factor("hotp"), "a time's code": factor("totp"), "a recovery code": factor("recovery"),
	}
}

// A right answer whose reply was lost: the same request gets the receipt with the first expiry, as often as it is repeated
// and until the receipt is used. A request without its seed gets ErrChallengeApproved.
func TestRepeatedCheckGetsItsReceiptAfterALostReply(t *testing.T) {
	k := newFactorKit(t)
	store := &lostReplyStore{Store: k.store.Store, taken: true}
	k.store.Store = store
	for name, begin := range answerCases(k) {
		c := begin()
		id, answer := c.id, c.answer
		store.step = c.step
		_, err := k.check(id, answer, withSeed("one"))
		if e := k.requireCode(err, watchword.ErrUnavailable); !e.Unknown {
			t.Errorf("%s: the error does not say that the outcome is unknown: %v", name, err)
		}
		won := k.clock.Now()
		k.clock.advance(time.Minute)
		var claims *watchword.Claims
		for range 3 {
			r, err := k.newNode().Check(context.Background(), id, watchword.CheckRequest{Purpose: "sign_in", Subject: subject,
				Answer: watchword.Answer{Text: answer}, Seed: []byte("one")})
			if err != nil {
				t.Fatalf("%s: the same request: %v", name, err)
			}
			claims = r.Claims
			if claims.ID != id || claims.ExpiresAt != won.Add(5*time.Minute).Unix() || claims.AuthTime != won.Unix() {
				t.Errorf("%s: %+v", name, claims)
			}
		}
		if name != "a sent code" && name != "a recovery code" && !slices.Equal(claims.AMR, []string{"otp"}) {
			t.Errorf("%s: amr %v", name, claims.AMR)
		}
		for what, change := range map[string]func(*watchword.CheckRequest){"no seed": withSeed(""), "another seed": withSeed("two")} {
			if what == "no seed" {
				change = func(*watchword.CheckRequest) {}
			}
			_, err = k.check(id, answer, change)
			if !errors.Is(err, watchword.ErrChallengeApproved) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if err := k.RedeemReceipt(context.Background(), *claims, "sign_in", nil); err != nil {
			t.Fatal(err)
		}
		_, err = k.check(id, answer, withSeed("one"))
		if !errors.Is(err, watchword.ErrChallengeApproved) {
			t.Errorf("%s, after its receipt was used: %v", name, err)
		}
	}
}

func TestRepeatedCheckGetsNoReceiptThatHasExpired(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	code := k.code(s.ID)
	if _, err := k.check(s.ID, code, withSeed("one")); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(5 * time.Minute)
	_, err := k.check(s.ID, code, withSeed("one"))
	k.requireCode(err, watchword.ErrChallengeApproved)
}

// A check that got 503 and changed nothing can be repeated, with and without a seed.
func TestFailedCheckHasNoEffectAndCanBeRepeated(t *testing.T) {
	k := newFactorKit(t)
	store := &lostReplyStore{Store: k.store.Store}
	k.store.Store = store
	for name, begin := range answerCases(k) {
		c := begin()
		store.step = c.step
		_, err := k.check(c.id, c.answer, withSeed(name))
		k.requireCode(err, watchword.ErrUnavailable)
		if v, err := k.Status(context.Background(), c.id); err != nil || v.Status != watchword.Pending {
			t.Errorf("%s: %+v %v", name, v, err)
		}
		if _, err := k.check(c.id, c.answer); err != nil {
			t.Errorf("%s, again: %v", name, err)
		}
	}
}

// Two nodes that check in the same millisecond return one receipt. Two requests with one seed get the same receipt.
func TestConcurrentChecksReturnOneReceipt(t *testing.T) {
	k := newFactorKit(t)
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	for name, begin := range answerCases(k) {
		c := begin()
		got := runConcurrently(40, func(i int) error {
			return repeatInFlight(func() error { _, err := check(nodes[i%2], c.id, c.answer); return err })
		})
		if got[""] != 1 || got["challenge_approved"] != 39 {
			t.Errorf("%s: %v", name, got)
		}
	}
	k.clock.advance(time.Hour)
	for name, begin := range answerCases(k) {
		c := begin()
		got := runConcurrently(40, func(i int) error {
			return repeatInFlight(func() error { _, err := check(nodes[i%2], c.id, c.answer, withSeed(name)); return err })
		})
		if got[""] < 1 || got[""]+got["challenge_approved"] != 40 {
			t.Errorf("%s, one seed: %v", name, got)
		}
	}
}

func TestRepeatedRedeemGetsItsReceiptAfterALostReply(t *testing.T) {
	k := newKit(t)
	ctx := context.Background()
	store := &lostReplyStore{Store: k.store.Store, taken: true}
	k.store.Store = store
	s := k.start(startByEmail())
	if err := k.Answer(ctx, s.ID, watchword.Answer{Text: k.code(s.ID)}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	redeem := func(seed []byte) (*watchword.Result, error) {
		return k.newNode().Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject, Seed: seed})
	}
	k.clock.advance(time.Minute)
	collected := k.clock.Now()
	store.step = "update"
	_, err := redeem([]byte("one"))
	k.requireCode(err, watchword.ErrUnavailable)
	k.clock.advance(time.Minute)
	_, err = redeem(nil)
	k.requireCode(err, watchword.ErrReceiptUsed)
	r, err := redeem([]byte("one"))
	if err != nil || r.Claims.ExpiresAt != collected.Add(5*time.Minute).Unix() || r.Claims.IssuedAt != collected.Unix() {
		t.Fatalf("the same request: %+v %v", r, err)
	}
	store.step = "update"
	k.requireCode(k.RedeemReceipt(ctx, *r.Claims, "sign_in", []byte("two")), watchword.ErrUnavailable)
	k.requireCode(k.newNode().RedeemReceipt(ctx, *r.Claims, "sign_in", nil), watchword.ErrReceiptUsed)
	if err := k.newNode().RedeemReceipt(ctx, *r.Claims, "sign_in", []byte("two")); err != nil {
		t.Errorf("the same redemption: %v", err)
	}
	_, err = redeem([]byte("one"))
	k.requireCode(err, watchword.ErrReceiptUsed)
}

// A proof that a request has spent whose reply was lost is valid for the repetition of the request, and for no other.
func TestRepeatedChangeOfFactorsSpendsItsProofOnce(t *testing.T) {
	k := newEnrolmentKit(t)
	store := &lostReplyStore{Store: k.store.Store, taken: true}
	k.store.Store = store
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	proof := k.proof("weak")
	proof.Seed = []byte("one")
	req := watchword.StartRequest{Strategy: "weak", Purpose: "enrol", Subject: subject, Authority: proof}
	store.step = "update"
	_, err := k.Start(context.Background(), req)
	k.requireCode(err, watchword.ErrUnavailable)
	other := req
	other.Authority.Seed = []byte("two")
	_, err = k.newNode().Start(context.Background(), other)
	k.requireCode(err, watchword.ErrProofRequired)
	if _, err := k.newNode().Start(context.Background(), req); err != nil {
		t.Errorf("the same request: %v", err)
	}
}

// The repetition of a start whose reply was lost queues its message.
func TestRepeatedStartQueuesItsMessage(t *testing.T) {
	k := newKit(t)
	store := &lostReplyStore{Store: k.store.Store, step: "create", taken: true}
	k.store.Store = store
	req := startByEmail()
	req.Seed = []byte("one")
	_, err := k.Start(context.Background(), req)
	k.requireCode(err, watchword.ErrUnavailable)
	req.Unanswered = true
	s, err := k.newNode().Start(context.Background(), req)
	if err != nil {
		t.Fatal(err)
	}
	if out := k.outbox.ofChallenge(s.ID); len(out) != 1 {
		t.Fatalf("%d messages were handed over", len(out))
	}
	out := k.outbox.last(s.ID)
	if m, err := k.ComposeMessage(context.Background(), out); err != nil || m.Code.Reveal() == "" {
		t.Fatalf("%+v %v", m, err)
	}
	if err := k.RecordDelivery(context.Background(), out, watchword.Delivery{Status: watchword.DeliverySent, Provider: "p", Channel: "email"}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ComposeMessage(context.Background(), out); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("a message that was sent is sent again: %v", err)
	}
	if _, err := k.newNode().Start(context.Background(), req); err != nil || len(k.outbox.ofChallenge(s.ID)) != 1 {
		t.Errorf("%d messages after it was sent, %v", len(k.outbox.ofChallenge(s.ID)), err)
	}
}

// A start with the seed of a challenge that has ended returns the error of its state.
func TestRepeatedStartOfEndedChallengeReturnsItsEnd(t *testing.T) {
	k := newKit(t)
	req := startByEmail()
	req.Seed = []byte("one")
	s := k.start(req)
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
	_, err := k.newNode().Start(context.Background(), req)
	k.requireCode(err, watchword.ErrChallengeApproved)
	req.Seed = []byte("two")
	if _, err := k.Cancel(context.Background(), k.start(req).ID); err != nil {
		t.Fatal(err)
	}
	_, err = k.newNode().Start(context.Background(), req)
	k.requireCode(err, watchword.ErrChallengeCanceled)
}

// A replica is lost while a right answer is written. The outcome is unknown, and the same request gets its receipt when a
// replica is available again. Other writes are refused meanwhile.
func TestRepeatedCheckGetsItsReceiptAfterReplicaLoss(t *testing.T) {
	server := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port := server.HostPort()
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	if err := server.AwaitReplica(t.Context()); err != nil {
		t.Fatal(err)
	}
	k := newKit(t, func(c *watchword.Config) {
		c.Clock = time.Now
		c.Store = redisstore.New(server.Client(t), redisstore.Config{WaitReplicas: 1})
	})
	first, second := k.start(startByEmail()), k.start(startByEmail())
	code, other := k.code(first.ID), k.code(second.ID)
	if err := replica.Pause(); err != nil {
		t.Fatal(err)
	}
	_, err := k.check(first.ID, code, withSeed("one"))
	if e := k.requireCode(err, watchword.ErrUnavailable); !e.Unknown {
		t.Errorf("the error does not say that the outcome is unknown: %v", err)
	}
	_, err = k.check(second.ID, other, withSeed("two"))
	if e := k.requireCode(err, watchword.ErrUnavailable); e.Unknown {
		t.Errorf("what was refused before it was written is reported as unknown: %v", err)
	}
	if v, err := k.Status(t.Context(), second.ID); err != nil || v.Status != watchword.Pending || v.TriesLeft != 5 {
		t.Errorf("%+v %v", v, err)
	}
	if err := replica.Resume(); err != nil {
		t.Fatal(err)
	}
	for id, answer := range map[string][2]string{first.ID: {code, "one"}, second.ID: {other, "two"}} {
		for n := 0; ; n++ {
			_, err := k.check(id, answer[0], withSeed(answer[1]))
			if err == nil {
				break
			}
			if !errors.Is(err, watchword.ErrUnavailable) || n > 200 {
				t.Fatalf("request %s, again: %v", answer[1], err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	_, err = k.check(first.ID, code)
	k.requireCode(err, watchword.ErrChallengeApproved)
}
