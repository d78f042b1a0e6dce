package enginetest_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// compareFactors is a Verify that rejects every answer and compares it with the usable factors.
func compareFactors(ctx context.Context, c *watchword.Challenge, _ string) (proof watchword.Proof, err error) {
	factors, err := c.Factors(ctx)
	for _, f := range factors {
		if unusable := f.Usable(c); unusable == nil {
			proof.Compared = append(proof.Compared, f)
		} else {
			err = unusable
		}
	}
	if err == nil || len(proof.Compared) > 0 {
		err = watchword.ErrMismatch
	}
	return proof, err
}

// verifierNodeWithKeys returns another node with these keys and a strategy "weak" that compares.
func (k *kit) verifierNodeWithKeys(ids ...string) *watchword.Engine {
	return k.newNode(func(c *watchword.Config) {
		c.Keys = nil
		for _, id := range ids {
			c.Keys = append(c.Keys, newTestKey(k.t, id))
		}
		weak := newEnrollingStrategy("weak", watchword.StrengthOTP)
		weak.verify = compareFactors
		c.Strategies = []watchword.Strategy{c.Strategies[0], weak, newEnrollingStrategy("strong", watchword.StrengthKey)}
	})
}

// signIn starts a challenge on a node and answers it there.
func (k *kit) signIn(e *watchword.Engine) error {
	k.t.Helper()
	s, err := e.Start(k.t.Context(), watchword.StartRequest{Strategy: "weak", Purpose: "sign_in", Subject: subject})
	if err == nil {
		_, err = check(e, s.ID, "x")
	}
	return err
}

func TestFactorWithMissingKeyIsUnavailable(t *testing.T) {
	k := newEnrolmentKit(t)
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	lacking := k.verifierNodeWithKeys("k2")
	refusal := k.requireCode(k.signIn(lacking), watchword.ErrUnavailable)
	if !strings.Contains(refusal.Error(), `"k1"`) || !strings.Contains(k.log.String(), `key \"k1\"`) {
		t.Errorf("the key is not named: %v; %s", refusal, k.log)
	}
	if all, err := lacking.ListFactors(t.Context(), subject); err != nil || len(all) != 1 || all[0].Disabled {
		t.Errorf("listed as %+v, %v", all, err)
	}
	// beside a readable factor it is unknown which factor a wrong answer belongs to
	if _, err := k.enrolOn(lacking, "weak", watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.requireCode(k.signIn(lacking), watchword.ErrUnavailable)
	both := k.verifierNodeWithKeys("k2", "k1")
	k.requireCode(k.signIn(both), watchword.ErrIncorrectAnswer)
}

func TestSetWithMissingKeyIsChangedByAppAuthorityOnly(t *testing.T) {
	k := newEnrolmentKit(t)
	ctx := t.Context()
	first, err := k.enrol("weak", watchword.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	started := k.beginEnrolment("strong", subject, k.proof("weak"))
	lacking := k.verifierNodeWithKeys("k2", "k3")
	proof := k.proof("weak")
	_, err = check(lacking, started, "x", forEnrolment) // its entry is encrypted with the same key
	k.requireCode(err, watchword.ErrUnknownChallenge)
	_, err = k.enrolOn(lacking, "strong", proof)
	k.requireCode(err, watchword.ErrUnavailable)
	k.requireCode(lacking.RemoveFactor(ctx, first.Factor.ID, proof), watchword.ErrUnavailable)
	k.requireCode(lacking.RemoveSubject(ctx, subject, watchword.Authority{}), watchword.ErrUnavailable)
	if _, err := k.check(started, "x", forEnrolment); err != nil {
		t.Errorf("at a node with the key: %v", err)
	}
	adminAuthority := watchword.Authority{Admin: true}
	if _, err := k.enrolOn(lacking, "weak", adminAuthority); err != nil {
		t.Errorf("enrolling on the app's authority: %v", err)
	}
	if err := lacking.RemoveFactor(ctx, first.Factor.ID, adminAuthority); err != nil {
		t.Errorf("removing on the app's authority: %v", err)
	}
	if err := lacking.RemoveSubject(ctx, subject, adminAuthority); err != nil {
		t.Errorf("removing all on the app's authority: %v", err)
	}
}

// A damaged factor has the strength of its strategy: a proof as strong replaces it, a weaker one does not.
func TestDamagedFactorIsReplacedByProofAsStrong(t *testing.T) {
	for strategy, sufficient := range map[string]bool{"strong": false, "weak": true, "last_resort": true} {
		k := newEnrolmentKit(t)
		if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
			t.Fatal(err)
		}
		enrolled, err := k.enrol(strategy, watchword.Authority{Admin: true})
		if err != nil {
			t.Fatal(err)
		}
		damaged := enrolled.Factor.ID
		k.damage(damaged)
		if err := k.RemoveFactor(t.Context(), damaged, k.proof("weak")); (err == nil) != sufficient {
			t.Errorf("a damaged factor of %s, by a proof of weak: %v", strategy, err)
		}
		if !sufficient {
			if err := k.RemoveFactor(t.Context(), damaged, k.proof("last_resort")); err != nil {
				t.Error(err)
			}
		}
	}
}

// damage overwrites a factor of the subject, or the entry of its set.
func (k *kit) damage(what string) {
	k.t.Helper()
	for _, f := range k.rows() {
		if f.ID == what || f.Strategy == what {
			f.Data = []byte("damaged")
			if err := k.config.Factors.Update(k.t.Context(), f); err != nil {
				k.t.Fatal(err)
			}
		}
	}
}

// An enrolment that begins on a damaged set replaces the set's entry and succeeds.
func TestEnrolmentSucceedsOnDamagedSet(t *testing.T) {
	for name, authority := range map[string]func(k *kit) watchword.Authority{
		"proof": func(k *kit) watchword.Authority { return k.proof("weak") },
		"app":   func(*kit) watchword.Authority { return watchword.Authority{Admin: true} },
	} {
		t.Run(name, func(t *testing.T) {
			k := newEnrolmentKit(t)
			if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
				t.Fatal(err)
			}
			k.damage("factor_set")
			if _, err := k.enrol("strong", authority(k)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestListFactorsClampsTimesThatJSONCannotWrite(t *testing.T) {
	t.Parallel()
	forEachFactorStore(t, func(t *testing.T, k *kit) {
		for _, at := range []time.Time{time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(-12000, 1, 1, 0, 0, 0, 0, time.UTC)} {
			who := at.Format("2006")
			f := watchword.SealedFactor{ID: "fa_" + who, App: "shop", Subject: who, Strategy: "weak", CreatedAt: at, Data: []byte("damaged")}
			if err := k.config.Factors.Create(t.Context(), f); err != nil {
				t.Fatal(err)
			}
			all, err := k.ListFactors(t.Context(), who)
			if err != nil || len(all) != 1 {
				t.Fatalf("%d factors, %v", len(all), err)
			}
			if _, err := json.Marshal(all[0].CreatedAt); err != nil {
				t.Error(err)
			}
		}
	})
}

// enrolOn is kit.enrol on another node.
func (k *kit) enrolOn(e *watchword.Engine, strategy string, a watchword.Authority) (*watchword.Result, error) {
	s, err := e.Start(k.t.Context(), watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: subject, Authority: a})
	if err != nil {
		return nil, err
	}
	return check(e, s.ID, "x", forEnrolment)
}

func TestDamagedFactorDoesNotAffectOtherFactors(t *testing.T) {
	ctx := context.Background()
	k := newEnrolmentKit(t)
	adminAuthority := watchword.Authority{Admin: true}
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
	k.requireCode(err, watchword.ErrProofRequired) // it is protected like every factor of its strategy
	if _, err := k.RenameFactor(ctx, "fa_bad", "x", adminAuthority); err == nil {
		t.Error("what does not open was sealed again")
	}
	if err := k.RemoveFactor(ctx, "fa_bad", adminAuthority); err != nil {
		t.Fatal(err)
	}
	damage()
	if err := k.RemoveSubject(ctx, subject, adminAuthority); err != nil {
		t.Fatal(err)
	}
}
