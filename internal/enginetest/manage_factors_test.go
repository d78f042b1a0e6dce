package enginetest_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// newEnrollingStrategy returns a strategy that accepts every answer and enrols a factor for each challenge.
func newEnrollingStrategy(name string, strength int) *enrollingStrategy {
	return &enrollingStrategy{scriptedVerifier: scriptedVerifier{verify: acceptAll, properties: watchword.StrategyProperties{Group: watchword.GroupSubject, Subject: true, Tries: 3, Strength: strength}}, name: name}
}

type enrollingStrategy struct {
	scriptedVerifier
	name string
}

func (s *enrollingStrategy) Name() string { return s.name }
func (s *enrollingStrategy) VerifyEnrol(_ context.Context, c *watchword.Challenge, _ string) (watchword.Factor, error) {
	return watchword.Factor{ID: fmt.Sprintf("fa_%s_%x", s.name, c.DeriveBytes("id", 8)), Data: []byte("secret")}, nil
}

func newEnrolmentKit(t *testing.T) *kit {
	return newKit(t, func(c *watchword.Config) {
		c.Strategies = append(c.Strategies, newEnrollingStrategy("weak", watchword.StrengthOTP), newEnrollingStrategy("strong", watchword.StrengthKey), newEnrollingStrategy("last_resort", watchword.StrengthRecovery))
	})
}

func (k *kit) enrol(strategy string, a watchword.Authority) (*watchword.Result, error) {
	s, err := k.Start(context.Background(), watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: subject, Authority: a})
	if err != nil {
		return nil, err
	}
	return k.check(s.ID, "x", forEnrolment)
}

func (k *kit) proof(strategy string) watchword.Authority {
	k.t.Helper()
	req := watchword.StartRequest{Strategy: strategy, Purpose: "manage_factors", Subject: subject}
	if strategy == "otp" {
		req.Channel, req.To = "email", alice
	}
	s := k.start(req)
	answer := "x"
	if strategy == "otp" {
		answer = k.code(s.ID)
	}
	r, err := k.check(s.ID, answer, func(r *watchword.CheckRequest) { r.Purpose = "manage_factors" })
	if err != nil {
		k.t.Fatal(err)
	}
	return watchword.Authority{Claims: r.Claims}
}

func TestChangingFactorsNeedsProofAtLeastAsStrong(t *testing.T) {
	ctx := context.Background()
	k := newEnrolmentKit(t)
	first, err := k.enrol("strong", watchword.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = k.enrol("weak", watchword.Authority{})
	k.requireCode(err, watchword.ErrProofRequired)
	for _, tooWeak := range []string{"otp", "weak"} {
		_, err = k.enrol("weak", k.proof(tooWeak))
		k.requireCode(err, watchword.ErrProofRequired)
	}
	for _, enough := range []watchword.Authority{k.proof("strong"), k.proof("last_resort"), {Claims: first.Claims}, {Admin: true}} {
		if _, err := k.enrol("weak", enough); err != nil {
			t.Fatal(err)
		}
		if enough.Admin {
			continue
		}
		_, err = k.enrol("weak", enough)
		k.requireCode(err, watchword.ErrProofRequired) // spent
	}
	stale := k.proof("strong")
	k.clock.advance(5*time.Minute + time.Second)
	_, err = k.enrol("weak", stale)
	k.requireCode(err, watchword.ErrProofRequired)
	others := k.proof("strong")
	others.Claims.Subject = "user_43"
	_, err = k.enrol("weak", others)
	k.requireCode(err, watchword.ErrProofRequired)
	elsewhere := k.proof("strong")
	elsewhere.Claims.Issuer = "https://staging.example.com"
	_, err = k.enrol("weak", elsewhere)
	k.requireCode(err, watchword.ErrProofRequired)
	_, err = k.RenameFactor(ctx, first.Factor.ID, "x", watchword.Authority{})
	k.requireCode(err, watchword.ErrProofRequired)
	k.requireCode(k.RemoveFactor(ctx, first.Factor.ID, watchword.Authority{}), watchword.ErrProofRequired)
	k.requireCode(k.RemoveSubject(ctx, subject, watchword.Authority{}), watchword.ErrProofRequired)
}

func TestEnrolmentFailsWhenAnotherFactorWasEnrolledFirst(t *testing.T) {
	k := newEnrolmentKit(t)
	attackers := k.start(watchword.StartRequest{Strategy: "weak", Purpose: "enrol", Subject: subject})
	if _, err := k.enrol("strong", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	_, err := k.check(attackers.ID, "x", forEnrolment)
	k.requireCode(err, watchword.ErrProofRequired)
}

func TestFactorsAreListedRenamedAndRemoved(t *testing.T) {
	ctx := context.Background()
	k := newEnrolmentKit(t)
	admin := watchword.Authority{Admin: true}
	r, err := k.enrol("weak", admin)
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(time.Second)
	if _, err := k.enrol("strong", admin); err != nil {
		t.Fatal(err)
	}
	f, err := k.RenameFactor(ctx, r.Factor.ID, "work phone", admin)
	if err != nil || f.Label != "work phone" {
		t.Fatalf("%+v %v", f, err)
	}
	all, err := k.ListFactors(ctx, subject)
	if err != nil || len(all) != 2 || all[0].Label != "work phone" || all[0].Data != nil {
		t.Fatalf("%+v %v", all, err)
	}
	other := k.newNode(func(c *watchword.Config) { c.App = "bank" })
	if _, err := other.GetFactor(ctx, f.ID); err == nil {
		t.Fatal("another app reads the factor")
	}
	k.requireCode(other.RemoveFactor(ctx, f.ID, admin), watchword.ErrUnknownFactor)
	if err := k.RemoveFactor(ctx, f.ID, admin); err != nil {
		t.Fatal(err)
	}
	_, err = k.GetFactor(ctx, f.ID)
	k.requireCode(err, watchword.ErrUnknownFactor)
	if err := k.RemoveSubject(ctx, subject, admin); err != nil {
		t.Fatal(err)
	}
	if all, _ := k.ListFactors(ctx, subject); len(all) != 0 {
		t.Fatalf("%+v", all)
	}
	if n := len(slices.DeleteFunc(k.events.types(), func(s string) bool { return s != "factor.removed" })); n != 2 {
		t.Fatalf("%d events", n)
	}
}

func TestImportFactorRequiresAuthority(t *testing.T) {
	ctx := context.Background()
	k := newEnrolmentKit(t)
	f := watchword.Factor{ID: "fa_old", Subject: subject, Strategy: "weak", Data: []byte("secret")}
	for range 2 {
		if err := k.ImportFactor(ctx, f, watchword.Authority{Admin: true}); err != nil {
			t.Fatal(err)
		}
	}
	if all, err := k.ListFactors(ctx, subject); err != nil || len(all) != 1 {
		t.Fatalf("%+v %v", all, err)
	}
	f.ID = "fa_other"
	k.requireCode(k.ImportFactor(ctx, f, watchword.Authority{}), watchword.ErrProofRequired)
	f.Strategy = "riddle"
	k.requireCode(k.ImportFactor(ctx, f, watchword.Authority{Admin: true}), watchword.ErrInvalidRequest)
}

// A subject has a bounded number of factors, and the proof for one more is not spent.
func TestEnrolmentBeyondFactorLimitKeepsProof(t *testing.T) {
	k := newEnrolmentKit(t)
	adminAuthority := watchword.Authority{Admin: true}
	for range 50 {
		if _, err := k.enrol("weak", adminAuthority); err != nil {
			t.Fatal(err)
		}
	}
	proof := k.proof("weak")
	_, err := k.enrol("weak", proof)
	k.requireCode(err, watchword.ErrInvalidRequest)
	factors, err := k.ListFactors(context.Background(), subject)
	if err != nil || len(factors) != 50 {
		t.Fatalf("%d %v", len(factors), err)
	}
	if err := k.RemoveFactor(context.Background(), factors[0].ID, proof); err != nil {
		t.Errorf("with the proof that was not spent: %v", err)
	}
}
