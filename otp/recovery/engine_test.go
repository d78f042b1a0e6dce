package recovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// Each of the ten codes is accepted once, in any spelling, also the one that confirmed the set.
func testCodesAreAcceptedOnce(t *testing.T, k *kit) {
	id, codes := k.beginEnrol("user_42")
	if len(slices.Compact(sorted(codes))) != 10 {
		t.Fatalf("%d different codes", len(slices.Compact(sorted(codes))))
	}
	_, err := k.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: "mfa", Subject: "user_42"})
	wantError(t, "before the set is confirmed", err, watchword.ErrNotEnrolled)
	r, err := k.answer(id, "user_42", watchword.PurposeEnrol, codes[3])
	if err != nil || r.Factor.Public[Remaining] != 10 {
		t.Fatalf("confirm: %+v, %v", r, err)
	}
	for n, code := range codes {
		s := k.start(watchword.StartRequest{Purpose: "mfa", Subject: "user_42"})
		r, err := k.answer(s.ID, "user_42", "mfa", strings.ToLower(strings.ReplaceAll(code, "-", " ")))
		if err != nil || r.Claims.Extra[Remaining] != 9-n || r.Claims.AMR != nil || r.Claims.Factor == "" {
			t.Fatalf("code %d: %+v, %v", n, r, err)
		}
		if left := k.onlyFactor("user_42").Public[Remaining]; left != 9-n {
			t.Errorf("after code %d: %v left", n, left)
		}
		if n == 9 {
			break
		}
		for _, spelling := range []string{code, strings.ToLower(code), strings.ReplaceAll(code, "-", ""), " " + code} {
			wantError(t, "a used code", k.checkCode("user_42", spelling), watchword.ErrIncorrectAnswer)
		}
		k.config.Store = memory.New(memory.Config{Clock: k.time})
		k.Engine = k.newNode()
	}
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: "mfa", Subject: "user_42"})
	wantError(t, "when all are used", err, watchword.ErrNotEnrolled)
	if low := k.countEvents(watchword.EventFactorLow); low != lowThreshold+1 {
		t.Errorf("%d events that few are left, want %d", low, lowThreshold+1)
	}
}

// If concurrent checks at two nodes have the same code, one is approved. Checks with different codes conflict only
// temporarily.
func testOneApprovalForACode(t *testing.T, k *kit) {
	codes := k.enrol("user_42")
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	for _, code := range codes[:5] {
		var approved atomic.Int64
		var all sync.WaitGroup
		for i := range 6 {
			id := k.start(watchword.StartRequest{Purpose: "mfa", Subject: "user_42"}).ID
			all.Go(func() {
				_, err := nodes[i%2].Check(context.Background(), id, watchword.CheckRequest{Purpose: "mfa", Subject: "user_42", Answer: watchword.Answer{Text: code}})
				if err == nil {
					approved.Add(1)
				} else if !errors.Is(err, watchword.ErrIncorrectAnswer) {
					t.Errorf("the same code: %v", err)
				}
			})
		}
		all.Wait()
		if approved.Load() != 1 {
			t.Errorf("%d of 6 approved", approved.Load())
		}
	}
	if left := k.onlyFactor("user_42").Public[Remaining]; left != 5 {
		t.Errorf("%v left, want 5", left)
	}
}

// A new set replaces the old one when it is confirmed. A set is refused if another one was confirmed after its challenge
// began.
func testNewSetReplacesOldOne(t *testing.T, k *kit) {
	first := k.enrol("user_42")
	before := k.onlyFactor("user_42")
	if err := k.checkCode("user_42", first[0]); err != nil {
		t.Fatal(err)
	}
	k.advance(time.Minute)
	late, lateCodes := k.beginEnrol("user_42")
	k.advance(time.Second)
	id, second := k.beginEnrol("user_42")
	_, err := k.answer(id, "user_42", watchword.PurposeEnrol, first[1])
	wantError(t, "the old set's code for the new set", err, watchword.ErrIncorrectAnswer)
	_, err = k.answer(id, "user_42", watchword.PurposeEnrol, lateCodes[0])
	wantError(t, "a parallel set's code for the new set", err, watchword.ErrIncorrectAnswer)
	wantError(t, "a code of a set that is not confirmed", k.checkCode("user_42", second[0]), watchword.ErrIncorrectAnswer)
	if err := k.checkCode("user_42", first[1]); err != nil {
		t.Errorf("the old set before the new one is confirmed: %v", err)
	}
	k.advance(time.Second)
	if _, err := k.answer(id, "user_42", watchword.PurposeEnrol, second[0]); err != nil {
		t.Fatal(err)
	}
	wantError(t, "the old set afterwards", k.checkCode("user_42", first[2]), watchword.ErrIncorrectAnswer)
	after := k.onlyFactor("user_42")
	if after.ID != before.ID || !after.CreatedAt.Equal(before.CreatedAt) || after.Public[Remaining] != 10 {
		t.Errorf("before %+v, after %+v", before, after)
	}
	_, err = k.answer(late, "user_42", watchword.PurposeEnrol, lateCodes[0])
	wantError(t, "a set that was begun before", err, watchword.ErrIncorrectAnswer)
	_, err = k.answer(id, "user_42", watchword.PurposeEnrol, second[0])
	wantError(t, "a replay", err, watchword.ErrChallengeApproved)
	if err := k.checkCode("user_42", second[0]); err != nil {
		t.Errorf("the code that confirmed: %v", err)
	}
}

// The confirmation is repeated after its response was lost. A code that was used in between stays used.
func TestRepeatedConfirmationRestoresNoUsedCode(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	id, codes := k.beginEnrol("user_42")
	cfg := k.config
	cfg.Store = failingCloseStore{k.config.Store}
	failing, err := watchword.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	_, err = failing.Check(t.Context(), id, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42", Answer: watchword.Answer{Text: codes[0]}})
	wantError(t, "the store that fails", err, watchword.ErrUnavailable)
	if err := k.checkCode("user_42", codes[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := k.answer(id, "user_42", watchword.PurposeEnrol, codes[0]); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	wantError(t, "the code used in between", k.checkCode("user_42", codes[1]), watchword.ErrIncorrectAnswer)
	if err := k.checkCode("user_42", codes[0]); err != nil {
		t.Errorf("another one: %v", err)
	}
}

// failingCloseStore is a store whose Close fails.
type failingCloseStore struct{ watchword.Store }

func (failingCloseStore) Close(context.Context, string, watchword.Closing) error {
	return errors.New("gone")
}

// Codes of another subject or app are refused.
func testCodesOfOthersAreRefused(t *testing.T, k *kit) {
	mine, theirs := k.enrol("user_42"), k.enrol("user_43")
	wantError(t, "another subject's code", k.checkCode("user_42", theirs[0]), watchword.ErrIncorrectAnswer)
	_, err := k.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: "mfa", Subject: "user_42", Factor: k.onlyFactor("user_43").ID})
	wantError(t, "another subject's set named", err, watchword.ErrUnknownFactor)
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: "mfa", Subject: "nobody", Factor: k.onlyFactor("user_43").ID})
	wantError(t, "named by a subject without any", err, watchword.ErrUnknownFactor)
	other := newKit(t, k.App()+"-2", k.config.Factors)
	_, err = other.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: "mfa", Subject: "user_42"})
	wantError(t, "another app", err, watchword.ErrNotEnrolled)
	other.enrol("user_42")
	wantError(t, "another app's code", other.checkCode("user_42", mine[0]), watchword.ErrIncorrectAnswer)
	for subject, codes := range map[string][]string{"user_42": mine, "user_43": theirs} {
		if err := k.checkCode(subject, codes[0]); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// Wrong codes are charged to tries and budgets, but never disable the set.
func TestWrongCodesDoNotDisableTheSet(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	codes := k.enrol("user_42")
	for k.onlyFactor("user_42").Version == 1 { // the enrolment's note is erased soon
		time.Sleep(time.Millisecond)
	}
	for range 150 {
		wantError(t, "a wrong code", k.checkCode("user_42", formatCode(appendCheckCharacter(examples[0]))), watchword.ErrIncorrectAnswer)
	}
	if f := k.onlyFactor("user_42"); f.Failures != 0 || f.Version != 2 {
		t.Errorf("%d failures, version %d", f.Failures, f.Version)
	}
	if err := k.checkCode("user_42", codes[0]); err != nil {
		t.Error(err)
	}
}

// The codes cannot be guessed, so an attacker who has spent the budget does not prevent the owner's first try.
func TestFirstTryIsEvaluatedAfterOthersSpentTheBudget(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	codes := k.enrol("user_42")
	k.config.NoBudget = false
	k.Engine = k.newNode()
	wrong := formatCode(appendCheckCharacter(examples[0]))
	owners := k.start(watchword.StartRequest{Purpose: "password_reset", Subject: "user_42"})
	attackers := k.start(watchword.StartRequest{Purpose: "password_reset", Subject: "user_42"})
	for range 5 {
		_, err := k.answer(attackers.ID, "user_42", "password_reset", wrong)
		wantError(t, "an attacker's guess", err, watchword.ErrIncorrectAnswer)
	}
	other := k.start(watchword.StartRequest{Purpose: "password_reset", Subject: "user_42"})
	_, err := k.answer(other.ID, "user_42", "password_reset", wrong)
	wantError(t, "the first try of another challenge", err, watchword.ErrIncorrectAnswer)
	_, err = k.answer(other.ID, "user_42", "password_reset", wrong)
	wantError(t, "its second", err, watchword.ErrTooManyGuesses)
	if _, err := k.answer(owners.ID, "user_42", "password_reset", codes[0]); err != nil {
		t.Errorf("the owner's first try: %v", err)
	}
}

// Neither the sealed nor the decrypted data contains a code.
func TestStoredSetRevealsNoCode(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	codes := k.enrol("user_42")
	spy := &spy{Strategy: New()}
	k.config.Strategies = []watchword.Strategy{spy}
	e := k.newNode()
	if _, err := e.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: "mfa", Subject: "user_42"}); err != nil {
		t.Fatal(err)
	}
	sealed, err := k.config.Factors.List(t.Context(), "shop", "user_42")
	if err != nil || len(sealed) != 2 || len(spy.data) == 0 {
		t.Fatal("nothing is stored", err)
	}
	dump := strings.ToUpper(string(sealed[0].Data) + string(sealed[1].Data) + string(spy.data))
	for _, code := range codes {
		if bare := strings.ReplaceAll(code, "-", ""); strings.Contains(dump, bare) || strings.Contains(dump, bare[:randomSymbols]) {
			t.Error("a code is stored")
		}
	}
	for _, damaged := range []string{"", "{}", `{"k":""}`, `{"k":7}`} {
		if _, err := parseSet([]byte(damaged)); err == nil {
			t.Errorf("%q is a set", damaged)
		}
	}
}

// A spy records the decrypted data.
type spy struct {
	*Strategy
	data []byte
}

func (s *spy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	all, err := c.Factors(ctx)
	if err == nil && len(all) == 1 {
		s.data = all[0].Data
	}
	return s.Strategy.Begin(ctx, c)
}
