package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

// Each test here was an attack that worked once.

func TestCheckRejectsMarkOfEarlierApproval(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	ref, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
	code := k.code(s.ID)
	if _, err := k.check(s.ID, code); err != nil {
		t.Fatal(err)
	}
	won, err := k.store.Store.Get(ctx, ref)
	if err != nil {
		t.Fatal(err)
	}
	// What a store answers for an entry that is pending again, without digests, its old mark left in place.
	for _, state := range []watchword.State{watchword.StatePending, watchword.StateApproved} {
		k.store.replaceEntry(ref, func(watchword.Entry) watchword.Entry {
			e := won
			e.State, e.Digests = state, nil
			return e
		})
		if r, err := check(k.newNode(), s.ID, wrongCode(code)); err == nil {
			t.Errorf("a wrong code was approved: %+v", r.Claims)
		}
		_, err := check(k.newNode(), s.ID, "garbage", func(c *watchword.CheckRequest) { c.Purpose, c.Subject = "pay", "mallory" })
		if err == nil {
			t.Error("for another purpose and subject")
		}
	}
}

func TestRedeemReceiptRejectsRestoredOlderRecord(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	ref, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
	r, err := k.check(s.ID, k.code(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := k.store.Store.Get(ctx, ref)
	if err := k.RedeemReceipt(ctx, *r.Claims, "sign_in", nil); err != nil {
		t.Fatal(err)
	}
	after, _ := k.store.Store.Get(ctx, ref)
	before.Version = after.Version
	k.store.replaceEntry(ref, func(watchword.Entry) watchword.Entry { return before })
	k.requireCode(k.newNode().RedeemReceipt(ctx, *r.Claims, "sign_in", nil), watchword.ErrReceiptInvalid)
}

// updateHookStore runs something just before the store's next Update.
type updateHookStore struct {
	watchword.Store
	run func()
}

func (b *updateHookStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if f := b.run; f != nil {
		b.run = nil
		f()
	}
	return b.Store.Update(ctx, e, out...)
}

func (k *kit) beforeUpdate(run func()) { k.store.Store = &updateHookStore{k.store.Store, run} }

func TestResendFailsAndSendsNothingWhenAnswerWinsFirst(t *testing.T) {
	ctx := context.Background()
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true })
	s := k.start(startByEmail())
	code := k.code(s.ID)
	k.clock.advance(time.Minute)
	k.beforeUpdate(func() {
		if err := k.Answer(ctx, s.ID, watchword.Answer{Text: code}, watchword.Client{}); err != nil {
			t.Error(err)
		}
	})
	_, err := k.Resend(ctx, s.ID, watchword.ResendRequest{})
	k.requireCode(err, watchword.ErrChallengeApproved)
	if n := len(k.outbox.ofChallenge(s.ID)); n != 1 {
		t.Errorf("%d messages", n)
	}
	if _, err := k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject}); err != nil {
		t.Fatalf("the receipt is lost: %v", err)
	}
}

func TestResendSucceedsAndCountsOnceDespiteConcurrentDeliveryReport(t *testing.T) {
	ctx := context.Background()
	taken := 0
	k := newKit(t, func(c *watchword.Config) {
		c.Starts = limiterFunc(func(...watchword.Bucket) error { taken++; return nil })
	})
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	k.beforeUpdate(func() {
		_ = k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 1}, watchword.Delivery{Status: "delivered", Channel: "email"})
	})
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	if taken != 2 {
		t.Errorf("the limits were asked %d times for a start and a resend", taken)
	}
}

func TestComposeMessageRefusesEndedChallengeAndOlderSend(t *testing.T) {
	ctx := context.Background()
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true })
	s := k.start(startByEmail())
	if _, err := k.Cancel(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ComposeMessage(ctx, k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("canceled: %v", err)
	}
	s = k.start(startByEmail())
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.ComposeMessage(ctx, k.outbox.ofChallenge(s.ID)[0]); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("the older message: %v", err)
	}
	s = k.start(startByEmail())
	if _, err := k.newNode().Cancel(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(2 * time.Second) // a queue that is behind reads what another node did
	if _, err := k.ComposeMessage(ctx, k.outbox.last(s.ID)); !errors.Is(err, watchword.ErrClosed) {
		t.Errorf("canceled by another node: %v", err)
	}
}

func TestRepeatedStartsQueueRefusedMessageOnce(t *testing.T) {
	k := newKit(t)
	req := startByEmail()
	req.Seed = []byte("of one idempotency key")
	k.outbox.err = errors.New("full")
	_, err := k.Start(context.Background(), req)
	k.requireCode(err, watchword.ErrUnavailable)
	k.outbox.err, k.outbox.all = nil, nil
	got := runConcurrently(20, func(int) error { _, err := k.Start(context.Background(), req); return err })
	if got[""] != 20 || len(k.outbox.all) != 1 {
		t.Fatalf("outcomes: %v, %d messages", got, len(k.outbox.all))
	}
	if k.code(k.outbox.all[0].ChallengeID) == "" {
		t.Error("it has no code")
	}
}

func TestExpiredReservationGivesAnotherSeed(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	first, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("alice"))
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(26 * time.Minute) // the record is over
	second, err := k.Reserve(ctx, "POST /v1/challenges", "key", []byte("bob"))
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Seed) == string(second.Seed) {
		t.Fatal("bob would be answered with alice's challenge")
	}
}

func TestStartersNumberStaysWhenResendBringsNewCode(t *testing.T) {
	ctx := context.Background()
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	k := newKit(t, func(c *watchword.Config) { c.NewCodes = true; c.Strategies = append(c.Strategies, links) })
	s := k.start(watchword.StartRequest{Strategy: "magiclink", Purpose: "sign_in", To: alice, Subject: subject})
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	m, err := k.ComposeMessage(ctx, k.outbox.last(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(m.Link.Reveal(), "#")
	err = k.Answer(ctx, s.ID, watchword.Answer{Text: token, Number: s.Public["number"].(string)}, watchword.Client{})
	if err != nil {
		t.Fatalf("the number on the screen with the new link: %v", err)
	}
}

func TestReceiptNamesChannelThatDeliveredTheCode(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject})
	code := k.code(s.ID)
	if err := k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 1}, watchword.Delivery{Status: "sent", Channel: "sms"}); err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Minute)
	if _, err := k.Resend(ctx, s.ID, watchword.ResendRequest{Channel: "voice"}); err != nil {
		t.Fatal(err)
	}
	if err := k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 2}, watchword.Delivery{Status: "failed", Channel: "voice"}); err != nil {
		t.Fatal(err)
	}
	r, err := k.check(s.ID, code)
	if err != nil || r.Claims.Channel != "sms" || !slices.Equal(r.Claims.AMR, []string{"otp", "sms"}) {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestRecordDeliverySendsNoEventForUnchangedStatus(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	s := k.start(startByEmail())
	for _, status := range []string{"failed", "delivered", "delivered", "sent", "failed"} {
		if err := k.RecordDelivery(ctx, watchword.Outgoing{ChallengeID: s.ID, Send: 1}, watchword.Delivery{Status: status, Channel: "email"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := k.events.types(); !slices.Equal(got, []string{"challenge.started", "message.failed", "message.delivered"}) {
		t.Fatalf("events: %v", got)
	}
}

func TestRedeemCollectsChallengeWithoutSubject(t *testing.T) {
	ctx := context.Background()
	l := &scriptedVerifier{verify: func(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
		return watchword.Proof{Subject: "owner"}, nil
	}}
	k := newKit(t, func(c *watchword.Config) { c.Strategies = append(c.Strategies, l) })
	s := k.start(watchword.StartRequest{Strategy: "scripted", Purpose: "sign_in"})
	if err := k.Answer(ctx, s.ID, watchword.Answer{Text: "x"}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	r, err := k.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in"})
	if err != nil || r.Claims.Subject != "owner" {
		t.Fatalf("%+v %v", r, err)
	}
}

func TestEnrolmentLeavesGuessBudgetUnchanged(t *testing.T) {
	l := &scriptedVerifier{verify: rejectAll, enrol: func(_ context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
		if answer != "x" {
			return watchword.Factor{}, watchword.ErrMismatch
		}
		return watchword.Factor{ID: "fa_1"}, nil
	}}
	k := newKit(t, withVerifier(l))
	guesses := func(n int) (judgedWrong int) {
		for range n {
			if _, err := k.check(k.start(verifierStart()).ID, "wrong"); errors.Is(err, watchword.ErrIncorrectAnswer) {
				judgedWrong++
			}
		}
		return judgedWrong
	}
	if n := guesses(4); n != 4 {
		t.Fatalf("%d judged", n)
	}
	s := k.start(enrolmentStart())
	for range 2 {
		_, err := k.check(s.ID, "fumbled", forEnrolment)
		k.requireCode(err, watchword.ErrIncorrectAnswer)
	}
	if _, err := k.check(s.ID, "x", forEnrolment); err != nil {
		t.Fatal(err)
	}
	if n := guesses(5); n != 1 {
		t.Fatalf("%d more guesses judged after an enrolment", n)
	}
}

func TestEnrolmentFailsWhenStrongerFactorBecameActive(t *testing.T) {
	ctx := context.Background()
	k := newEnrolmentKit(t)
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	begin := func(strategy string, a watchword.Authority) string {
		s, err := k.Start(ctx, watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: subject, Authority: a})
		if err != nil {
			t.Fatal(err)
		}
		return s.ID
	}
	thiefs := begin("last_resort", k.proof("weak"))
	if _, err := k.enrol("strong", k.proof("weak")); err != nil {
		t.Fatal(err)
	}
	_, err := k.check(thiefs, "x", forEnrolment)
	k.requireCode(err, watchword.ErrProofRequired)
	for _, a := range []watchword.Authority{k.proof("strong"), {Admin: true}} {
		pending := begin("weak", a)
		if err := k.RemoveSubject(ctx, subject, watchword.Authority{Admin: true}); err != nil {
			t.Fatal(err)
		}
		_, err = k.check(pending, "x", forEnrolment)
		k.requireCode(err, watchword.ErrProofRequired)
		if _, err := k.enrol("weak", watchword.Authority{Admin: true}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCanceledEnrolmentLeavesNoFactor(t *testing.T) {
	ctx := context.Background()
	var k *kit
	var id string
	l := &scriptedVerifier{verify: rejectAll, enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
		if _, err := k.Cancel(ctx, id); err != nil {
			t.Error(err)
		}
		return watchword.Factor{ID: "fa_1"}, nil
	}}
	k = newKit(t, withVerifier(l))
	id = k.start(enrolmentStart()).ID
	_, err := k.check(id, "x", forEnrolment)
	k.requireCode(err, watchword.ErrChallengeCanceled)
	if f, err := k.ListFactors(ctx, subject); err != nil || len(f) != 0 {
		t.Fatalf("%+v %v", f, err)
	}
}

func TestRepeatedEnrolmentStartReusesItsSpentProof(t *testing.T) {
	k := newEnrolmentKit(t)
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	req := watchword.StartRequest{Strategy: "weak", Purpose: "enrol", Subject: subject, Authority: k.proof("weak"), Seed: []byte("of one idempotency key")}
	first, again := k.start(req), k.start(req)
	if first.ID != again.ID || first.Public["secret"] != again.Public["secret"] {
		t.Fatal("the second one is another enrolment")
	}
}

func TestDamagedFactorDoesNotAffectOtherFactors(t *testing.T) {
	ctx := context.Background()
	k := newEnrolmentKit(t)
	vouched := watchword.Authority{Admin: true}
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	damage := func() {
		err := k.config.Factors.Create(ctx, watchword.SealedFactor{ID: "fa_bad", App: "shop", Subject: subject, Strategy: "strong", CreatedAt: k.clock.Now(), Data: []byte("damaged")})
		if err != nil {
			t.Fatal(err)
		}
	}
	damage()
	if all, err := k.ListFactors(ctx, subject); err != nil || len(all) != 2 {
		t.Fatalf("%+v %v", all, err)
	}
	_, err := k.enrol("weak", k.proof("weak"))
	k.requireCode(err, watchword.ErrProofRequired) // it is protected like any of its strategy
	if _, err := k.RenameFactor(ctx, "fa_bad", "x", vouched); err == nil {
		t.Error("what does not open was sealed again")
	}
	if err := k.RemoveFactor(ctx, "fa_bad", vouched); err != nil {
		t.Fatal(err)
	}
	damage()
	if err := k.RemoveSubject(ctx, subject, vouched); err != nil {
		t.Fatal(err)
	}
}

func TestStartRefusesZoneAndLongTransaction(t *testing.T) {
	k := newKit(t)
	for name, change := range map[string]func(*watchword.StartRequest){
		"zone": func(r *watchword.StartRequest) { r.Client.IP = "fe80::1%<b>\x1b[31m" },
		"a transaction that no receipt could repeat": func(r *watchword.StartRequest) {
			r.Transaction = map[string]string{}
			for _, c := range "abcdefghijklmnop" {
				r.Transaction[string(c)] = strings.Repeat("<", 250)
			}
		},
	} {
		req := startByEmail()
		change(&req)
		_, err := k.Start(context.Background(), req)
		if !errors.Is(err, watchword.ErrInvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*watchword.Config){
		"no budget":    func(c *watchword.Config) { c.Budget = []watchword.Window{} },
		"empty window": func(c *watchword.Config) { c.Budget = []watchword.Window{{Max: 0, Per: time.Hour}} },
		"many sends":   func(c *watchword.Config) { c.Sends = 101 },
	} {
		cfg := k.config
		change(&cfg)
		if _, err := watchword.New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// A store that shows the mark of this attempt has not won it for that: it must say approved too.
func TestCheckRejectsMarkOfEntryThatIsNotApproved(t *testing.T) {
	k := newKit(t)
	ref, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
	code := k.code(s.ID)
	e, err := k.store.Store.Get(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	k.store.onAttempt = func(_ string, g []watchword.Guess) {
		k.store.replaceEntry(ref, func(watchword.Entry) watchword.Entry {
			shown := e
			shown.Mark = g[0].Mark
			return shown
		})
	}
	_, err = k.check(s.ID, code)
	k.requireCode(err, watchword.ErrIncorrectAnswer)
}

func TestCheckRefusesReopenedApprovedChallengeOnAnotherNode(t *testing.T) {
	k := newKit(t, withVerifier(&scriptedVerifier{verify: acceptAll}))
	ref, s := k.entryID(func() *watchword.Started { return k.start(verifierStart()) })
	if _, err := k.check(s.ID, "x"); err != nil {
		t.Fatal(err)
	}
	won, err := k.store.Store.Get(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	k.store.replaceEntry(ref, func(watchword.Entry) watchword.Entry {
		again := won
		again.State, again.Mark, again.Tries = watchword.StatePending, nil, 3
		return again
	})
	_, err = check(k.newNode(), s.ID, "x")
	k.requireCode(err, watchword.ErrChallengeApproved)
}
