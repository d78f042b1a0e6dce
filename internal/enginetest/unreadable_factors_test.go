package enginetest_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// compares is a strategy's evaluation that finds every answer wrong, by the factors that can be used.
func compares(ctx context.Context, c *watchword.Challenge, _ string) (proof watchword.Proof, err error) {
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

// withKeys is another node with these keys and a strategy "weak" that compares.
func (k *kit) withKeys(ids ...string) *watchword.Engine {
	return k.sibling(func(c *watchword.Config) {
		c.Keys = nil
		for _, id := range ids {
			c.Keys = append(c.Keys, key(k.t, id))
		}
		weak := keeper("weak", watchword.StrengthOTP)
		weak.verify = compares
		c.Strategies = []watchword.Strategy{c.Strategies[0], weak, keeper("strong", watchword.StrengthKey)}
	})
}

// signsIn starts at a node and answers there.
func (k *kit) signsIn(e *watchword.Engine) error {
	k.t.Helper()
	s, err := e.Start(k.t.Context(), watchword.StartRequest{Strategy: "weak", Purpose: "sign_in", Subject: subject})
	if err == nil {
		_, err = check(e, s.ID, "x")
	}
	return err
}

func TestFactorWhoseKeyIsMissingIsTheServersFault(t *testing.T) {
	k := newKeeperKit(t)
	if _, err := k.enrol("weak", watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	lacking := k.withKeys("k2")
	refusal := k.mustCode(k.signsIn(lacking), watchword.ErrUnavailable)
	if !strings.Contains(refusal.Error(), `"k1"`) || !strings.Contains(k.log.String(), `key \"k1\"`) {
		t.Errorf("the key is not named: %v; %s", refusal, k.log)
	}
	if all, err := lacking.ListFactors(t.Context(), subject); err != nil || len(all) != 1 || all[0].Disabled {
		t.Errorf("listed as %+v, %v", all, err)
	}
	// Beside one that can be read, nobody knows whose a wrong answer is.
	if _, err := k.enrolAt(lacking, "weak", watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.mustCode(k.signsIn(lacking), watchword.ErrUnavailable)
	both := k.withKeys("k2", "k1")
	k.mustCode(k.signsIn(both), watchword.ErrIncorrectAnswer)
}

func TestSetWhoseKeyIsMissingIsChangedByTheAppAlone(t *testing.T) {
	k := newKeeperKit(t)
	ctx := t.Context()
	first, err := k.enrol("weak", watchword.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	begun := k.begin("strong", subject, k.proof("weak"))
	lacking := k.withKeys("k2", "k3")
	proof := k.proof("weak")
	_, err = check(lacking, begun, "x", enrolling) // its entry is sealed under the same key
	k.mustCode(err, watchword.ErrUnknownChallenge)
	_, err = k.enrolAt(lacking, "strong", proof)
	k.mustCode(err, watchword.ErrUnavailable)
	k.mustCode(lacking.RemoveFactor(ctx, first.Factor.ID, proof), watchword.ErrUnavailable)
	k.mustCode(lacking.RemoveSubject(ctx, subject, watchword.Authority{}), watchword.ErrUnavailable)
	if _, err := k.check(begun, "x", enrolling); err != nil {
		t.Errorf("at a node with the key: %v", err)
	}
	vouched := watchword.Authority{Admin: true}
	if _, err := k.enrolAt(lacking, "weak", vouched); err != nil {
		t.Errorf("enrolling on the app's authority: %v", err)
	}
	if err := lacking.RemoveFactor(ctx, first.Factor.ID, vouched); err != nil {
		t.Errorf("removing on the app's authority: %v", err)
	}
	if err := lacking.RemoveSubject(ctx, subject, vouched); err != nil {
		t.Errorf("removing all on the app's authority: %v", err)
	}
}

// A factor that does not open is worth what its strategy is: a proof as strong replaces it, a weaker one does not.
func TestDamagedFactorYieldsToProofAsStrong(t *testing.T) {
	for strategy, sufficient := range map[string]bool{"strong": false, "weak": true, "last_resort": true} {
		k := newKeeperKit(t)
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

// damage spoils a row of the subject's, or the entry of its set.
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

// An enrolment that begins on a damaged set makes that anew, and ends.
func TestEnrolmentBeginsAndEndsOnDamagedSet(t *testing.T) {
	for name, authority := range map[string]func(k *kit) watchword.Authority{
		"proof": func(k *kit) watchword.Authority { return k.proof("weak") },
		"app":   func(*kit) watchword.Authority { return watchword.Authority{Admin: true} },
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeeperKit(t)
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

func TestStoredTimesBeyondJSONAreListed(t *testing.T) {
	eachFactorStore(t, func(t *testing.T, k *kit) {
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

// enrolAt is kit.enrol at another node.
func (k *kit) enrolAt(e *watchword.Engine, strategy string, a watchword.Authority) (*watchword.Result, error) {
	s, err := e.Start(k.t.Context(), watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: subject, Authority: a})
	if err != nil {
		return nil, err
	}
	return check(e, s.ID, "x", enrolling)
}
