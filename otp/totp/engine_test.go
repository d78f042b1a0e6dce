package totp

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// An accepted code and all earlier steps are refused at every node, also after everything but the factors was lost. This
// includes the code of the enrolment.
func testSpentCodesStayRefused(t *testing.T, k *kit) {
	d := k.enrol("totp", "user_42")
	first := k.time()
	refused := func(when string) {
		t.Helper()
		for n := -1; n <= 1; n++ {
			if code := d.codeAt(first.Add(time.Duration(n) * step)); n < 1 {
				wantError(t, when, k.checkCode("totp", "user_42", code), watchword.ErrIncorrectAnswer)
			}
		}
	}
	refused("the enrolling code, or the one before")
	first = first.Add(step)
	if err := k.checkCode("totp", "user_42", d.codeAt(first)); err != nil {
		t.Fatalf("the next code, a little early: %v", err)
	}
	refused("a code that was accepted early, or the one before")
	k.advance(step)
	refused("the same a step later")
	k.config.Store = memory.New(memory.Config{Clock: k.time})
	k.Engine = k.newNode()
	refused("after a restart that lost all challenges")
	k.advance(step)
	if err := k.checkCode("totp", "user_42", d.codeAt(k.time())); err != nil {
		t.Errorf("the next code: %v", err)
	}
}

// If concurrent checks at two nodes have the same code, one is approved.
func testOneApprovalForACode(t *testing.T, k *kit) {
	d := k.enrol("totp", "user_42")
	counted := k.enrol("hotp", "user_42")
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	for round := range 6 {
		k.advance(step)
		strategy, code := "totp", d.codeAt(k.time())
		if round%2 == 1 {
			strategy, code = "hotp", counted.codeOfCounter(int64(round))
		}
		var ids []string
		for range 6 {
			ids = append(ids, k.startChallenge(strategy, "user_42"))
		}
		var approved atomic.Int64
		var all sync.WaitGroup
		for i, id := range ids {
			all.Go(func() {
				_, err := nodes[i%2].Check(context.Background(), id, watchword.CheckRequest{Purpose: "sign_in", Subject: "user_42", Answer: watchword.Answer{Text: code}})
				if err == nil {
					approved.Add(1)
				}
			})
		}
		all.Wait()
		if approved.Load() != 1 {
			t.Errorf("%s: %d of %d approved", strategy, approved.Load(), len(ids))
		}
	}
}

// A factor exists only after the first right code, and only once.
func testEnrolmentCreatesOneFactor(t *testing.T, k *kit) {
	list := func() []watchword.Factor {
		t.Helper()
		all, err := k.ListFactors(t.Context(), "user_42")
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	begin := func() (*watchword.Started, *device) {
		t.Helper()
		s := k.start(watchword.StartRequest{Strategy: "totp", Purpose: watchword.PurposeEnrol, Subject: "user_42", Label: "phone"})
		return s, &device{secret: s.Public["secret"].(string), algorithm: SHA1, digits: 6, period: step}
	}
	_, abandoned := begin()
	one, first := begin()
	two, second := begin()
	if abandoned.secret == first.secret || first.secret == second.secret || len(first.secret) != 32 {
		t.Fatal("secrets repeat, or have not 160 bits")
	}
	_, err := k.answer(one.ID, "user_42", watchword.PurposeEnrol, second.codeAt(k.time()))
	wantError(t, "a parallel enrolment's code", err, watchword.ErrIncorrectAnswer)
	_, err = k.answer(one.ID, "user_42", "mfa", first.codeAt(k.time()))
	wantError(t, "another purpose", err, watchword.ErrIncorrectAnswer)
	if len(list()) != 0 {
		t.Fatal("something is enrolled before anything is proven")
	}
	r, err := k.answer(one.ID, "user_42", watchword.PurposeEnrol, first.codeAt(k.time()))
	if err != nil {
		t.Fatal(err)
	}
	before := list()
	if len(before) != 1 || before[0].ID != r.Factor.ID || before[0].Label != "phone" || before[0].Data != nil {
		t.Fatalf("enrolled: %+v", before)
	}
	k.advance(step)
	_, err = k.answer(one.ID, "user_42", watchword.PurposeEnrol, first.codeAt(k.time()))
	wantError(t, "a replay", err, watchword.ErrChallengeApproved)
	wantError(t, "the code of an abandoned one", k.checkCode("totp", "user_42", abandoned.codeAt(k.time())), watchword.ErrIncorrectAnswer)
	k.advance(11 * time.Minute)
	_, err = k.answer(two.ID, "user_42", watchword.PurposeEnrol, second.codeAt(k.time()))
	wantError(t, "a late one", err, watchword.ErrChallengeExpired)
	if after := list(); len(after) != 1 || after[0].Failures != 1 {
		t.Errorf("enrolled afterwards: %+v", after)
	}
}

// The check is repeated after its response was lost.
func TestRepeatedEnrolmentCreatesOneFactor(t *testing.T) {
	k := newKit(t)
	s := k.start(watchword.StartRequest{Strategy: "totp", Purpose: watchword.PurposeEnrol, Subject: "user_42"})
	d := &device{secret: s.Public["secret"].(string), algorithm: SHA1, digits: 6, period: step}
	k.config.Store = failingCloseStore{k.config.Store}
	for range 2 {
		_, err := k.newNode().Check(t.Context(), s.ID, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42", Answer: watchword.Answer{Text: d.codeAt(k.time())}})
		wantError(t, "the store that fails", err, watchword.ErrUnavailable)
	}
	k.onlyFactor("user_42")
	if _, err := k.answer(s.ID, "user_42", watchword.PurposeEnrol, d.codeAt(k.time())); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	k.onlyFactor("user_42")
	wantError(t, "the enrolling code", k.checkCode("totp", "user_42", d.codeAt(k.time())), watchword.ErrIncorrectAnswer)
}

// failingCloseStore is a store whose Close fails.
type failingCloseStore struct{ watchword.Store }

func (failingCloseStore) Close(context.Context, string, watchword.Closing) error {
	return errors.New("gone")
}

// Factors of another subject or app are unknown.
func testFactorsOfOthersAreUnknown(t *testing.T, k *kit) {
	mine, theirs := k.enrol("totp", "user_42"), k.enrol("totp", "user_43")
	k.advance(step)
	_, err := k.Start(t.Context(), watchword.StartRequest{Strategy: "totp", Purpose: "mfa", Subject: "user_42", Factor: theirs.id})
	wantError(t, "another subject's factor named", err, watchword.ErrUnknownFactor)
	wantError(t, "another subject's code", k.checkCode("totp", "user_42", theirs.codeAt(k.time())), watchword.ErrIncorrectAnswer)
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "totp", Purpose: "mfa", Subject: "nobody"})
	wantError(t, "a subject without any", err, watchword.ErrNotEnrolled)
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "hotp", Purpose: "mfa", Subject: "user_42"})
	wantError(t, "another strategy", err, watchword.ErrNotEnrolled)

	k.config.App += "-bank"
	bank := k.newNode()
	_, err = bank.Start(t.Context(), watchword.StartRequest{Strategy: "totp", Purpose: "mfa", Subject: "user_42"})
	wantError(t, "another app", err, watchword.ErrNotEnrolled)
	_, err = bank.GetFactor(t.Context(), mine.id)
	wantError(t, "another app's factor", err, watchword.ErrUnknownFactor)
}

// Any device of the subject may answer, unless the challenge names one. A wrong code is a failure of each device that it was
// compared with, and of no other.
func TestCheckAcceptsAnyDeviceOfTheSubject(t *testing.T) {
	k := newKit(t)
	phone, tablet := k.enrol("totp", "user_42"), k.enrol("totp", "user_42")
	failures := func(want ...int) {
		t.Helper()
		all, err := k.ListFactors(t.Context(), "user_42")
		var got []int
		for _, d := range []*device{phone, tablet} {
			i := slices.IndexFunc(all, func(f watchword.Factor) bool { return f.ID == d.id })
			got = append(got, all[i].Failures)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("failures %v (%v), want %v", got, err, want)
		}
	}
	named := func(d *device, code string) (*watchword.Result, error) {
		s := k.start(watchword.StartRequest{Strategy: "totp", Purpose: "mfa", Subject: "user_42", Factor: d.id})
		return k.answer(s.ID, "user_42", "mfa", code)
	}
	k.advance(step)
	wantError(t, "a wrong code", k.checkCode("totp", "user_42", "000000"), watchword.ErrIncorrectAnswer)
	failures(1, 1)
	_, err := named(phone, tablet.codeAt(k.time()))
	wantError(t, "the tablet's code for the phone", err, watchword.ErrIncorrectAnswer)
	failures(2, 1)
	r, err := named(phone, phone.codeAt(k.time()))
	if err != nil || r.Claims.Factor != phone.id || !slices.Equal(r.Claims.AMR, []string{"otp"}) {
		t.Fatalf("the phone's code: %+v, %v", r, err)
	}
	failures(0, 1)
	if err := k.checkCode("totp", "user_42", tablet.codeAt(k.time())); err != nil {
		t.Errorf("the tablet's code: %v", err)
	}
	failures(0, 0)
	for range 10 {
		_, err := named(phone, "000000")
		wantError(t, "a wrong code", err, watchword.ErrIncorrectAnswer)
	}
	k.advance(step)
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "totp", Purpose: "mfa", Subject: "user_42", Factor: phone.id})
	wantError(t, "the phone that has to wait", err, watchword.ErrTooManyGuesses)
	wantError(t, "the phone's code while it waits", k.checkCode("totp", "user_42", phone.codeAt(k.time())), watchword.ErrIncorrectAnswer)
	failures(10, 1)
	if err := k.checkCode("totp", "user_42", tablet.codeAt(k.time())); err != nil {
		t.Errorf("the tablet's code while the phone waits: %v", err)
	}
}

// A hundred failures disable a device, even if every temporary lock is observed.
func testHundredFailuresDisable(t *testing.T, k *kit) {
	d := k.enrol("totp", "user_42")
	began := k.time()
	for n := range 100 {
		id := k.startChallenge("totp", "user_42")
		_, err := k.answer(id, "user_42", "sign_in", "000000")
		wantError(t, "a wrong code", err, watchword.ErrIncorrectAnswer)
		k.advance(14 * time.Hour)
		if n == 98 {
			if f := k.onlyFactor("user_42"); f.Disabled {
				t.Fatal("disabled too early")
			}
		}
	}
	if days := k.time().Sub(began).Hours() / 24; days < 50 {
		t.Errorf("only %.0f days", days)
	}
	for _, later := range []time.Duration{0, 366 * 24 * time.Hour} {
		k.advance(later)
		_, err := k.Start(t.Context(), watchword.StartRequest{Strategy: "totp", Purpose: "sign_in", Subject: "user_42"})
		wantError(t, "after 100 failures", err, watchword.ErrFactorDisabled)
	}
	fresh := k.enrol("totp", "user_42")
	k.advance(step)
	wantError(t, "the disabled device's code", k.checkCode("totp", "user_42", d.codeAt(k.time())), watchword.ErrIncorrectAnswer)
	if err := k.checkCode("totp", "user_42", fresh.codeAt(k.time())); err != nil {
		t.Errorf("enrolled again: %v", err)
	}
}

// The right code is refused too.
func TestCheckRefusesDeviceDisabledAfterStart(t *testing.T) {
	k := newKit(t)
	d := k.enrol("totp", "user_42")
	for range 99 {
		wantError(t, "a wrong code", k.checkCode("totp", "user_42", "000000"), watchword.ErrIncorrectAnswer)
		k.advance(14 * time.Hour)
	}
	open, last := k.startChallenge("totp", "user_42"), k.startChallenge("totp", "user_42")
	_, err := k.answer(last, "user_42", "sign_in", "000000")
	wantError(t, "the hundredth", err, watchword.ErrIncorrectAnswer)
	_, err = k.answer(open, "user_42", "sign_in", d.codeAt(k.time()))
	wantError(t, "the right code", err, watchword.ErrFactorDisabled)
	for _, event := range []string{watchword.EventFactorFailing, watchword.EventFactorDisabled} {
		if !k.hasEvent(event) {
			t.Errorf("no event %s", event)
		}
	}
}

// A decoy looks like a real challenge for every subject, except if the strategy cannot find out whether a subject has
// devices.
func TestDecoyLooksLikeRealChallenge(t *testing.T) {
	k := newKit(t)
	k.enrol("totp", "user_42")
	k.config.Strategies = []watchword.Strategy{decoys{k.totp}}
	e := k.newNode()
	for _, subject := range []string{"nobody", "user_42"} {
		s, err := e.Start(t.Context(), watchword.StartRequest{Strategy: "totp", Purpose: "sign_in", Subject: subject, Decoy: true})
		if err != nil || s.Ask != watchword.AskCode {
			t.Errorf("%s: %v", subject, err)
		}
	}
	k.config.Factors = failingFactors{k.config.Factors}
	_, err := k.newNode().Start(t.Context(), watchword.StartRequest{Strategy: "totp", Purpose: "sign_in", Subject: "nobody", Decoy: true})
	wantError(t, "unavailable factor store", err, watchword.ErrUnavailable)
}

// decoys marks challenges as decoys before Begin.
type decoys struct{ *Strategy }

func (d decoys) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	c.Decoy = true
	return d.Strategy.Begin(ctx, c)
}

// failingFactors is a factor store whose calls fail.
type failingFactors struct{ watchword.Factors }

func (failingFactors) List(context.Context, string, string) ([]watchword.SealedFactor, error) {
	return nil, errors.New("gone")
}
