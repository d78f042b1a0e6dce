package enginetest_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// An attacker who can read and write the store, but has no key, gets no verification approved. If the attacker puts an earlier entry
// back, a process that has given the receipt gives no second one, and one that has canceled the verification opens nothing.
func TestAttackerWithStoreWriteAccessGetsNoVerificationApproved(t *testing.T) {
	ctx := context.Background()
	set := func(t *testing.T) (k *verificationKit, v *watchword.StartedVerification, entry watchword.Entry) {
		k = newVerificationKit(t)
		spy := &recordingStore{Store: k.store.Store}
		k.store.Store = spy
		v = k.startVerification(verificationOf(smsMethod))
		k.store.Store = spy.Store
		entry, err := spy.Get(ctx, spy.created[0].ID) // the verification is stored before its challenge
		if err != nil {
			t.Fatal(err)
		}
		return k, v, entry
	}
	swap := func(k *verificationKit, id string, with watchword.Entry) {
		k.store.replaceEntry(id, func(watchword.Entry) watchword.Entry { return with })
	}
	t.Run("invented content and states", func(t *testing.T) {
		k, v, entry := set(t)
		other := k.startVerification(verificationOf(smsMethod))
		if err := k.answerOnPage(other.ID, "", k.code(other.Challenge.ID)); err != nil {
			t.Fatal(err)
		}
		_, _, foreign := set(t)
		for name, change := range map[string]func(e *watchword.Entry){
			"state":          func(e *watchword.Entry) { e.State = watchword.StateApproved },
			"state and mark": func(e *watchword.Entry) { e.State, e.Mark = watchword.StateApproved, bytes.Repeat([]byte{'w'}, 57) },
			"version":        func(e *watchword.Entry) { e.Version++ },
			"another's":      func(e *watchword.Entry) { e.Sealed = foreign.Sealed },
			"changed content": func(e *watchword.Entry) {
				e.Sealed = append(bytes.Clone(e.Sealed[:len(e.Sealed)-1]), e.Sealed[len(e.Sealed)-1]^1)
			},
			"no content": func(e *watchword.Entry) { e.Sealed = nil },
		} {
			changed := entry
			change(&changed)
			swap(k, entry.ID, changed)
			for _, e := range []*watchword.Engine{k.Engine, k.newNode()} {
				if view, err := e.VerificationStatus(ctx, v.ID); err == nil && view.Status == watchword.Approved {
					t.Errorf("%s: the status reads approved", name)
				} else if err == nil && name != "state" && name != "state and mark" { // which are not used
					t.Errorf("%s: the entry opens", name)
				}
				if r, err := e.RedeemVerification(ctx, v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject}); err == nil {
					t.Errorf("%s: a receipt was collected: %+v", name, r.Claims)
				}
			}
		}
	})
	t.Run("an earlier entry after the receipt", func(t *testing.T) {
		k, v, entry := set(t)
		code := k.code(v.Challenge.ID)
		if _, err := k.checkMethod(v.ID, "", code); err != nil {
			t.Fatal(err)
		}
		k.store.Store = rollbackStore{k.store.Store, entry}
		if r, err := k.redeem(v); err == nil {
			t.Errorf("a second receipt: %+v", r.Claims)
		}
		_, err := k.checkMethod(v.ID, "", code)
		k.requireCode(err, watchword.ErrChallengeApproved)
	})
	t.Run("an earlier entry after the receipt was repeated", func(t *testing.T) {
		k, v, entry := set(t)
		if err := k.answerOnPage(v.ID, "", k.code(v.Challenge.ID)); err != nil {
			t.Fatal(err)
		}
		answered, err := k.store.Get(ctx, entry.ID)
		if err != nil {
			t.Fatal(err)
		}
		seeded := func(r *watchword.RedeemRequest) { r.Seed = []byte("one") }
		for range 2 {
			if _, err := k.redeem(v, seeded); err != nil {
				t.Fatal(err)
			}
		}
		k.store.Store = rollbackStore{k.store.Store, answered}
		k.clock.advance(time.Minute)
		if r, err := k.redeem(v, seeded); err == nil {
			t.Errorf("the receipt again, with another expiry: %+v", r.Claims)
		}
	})
	t.Run("an earlier entry after the cancellation", func(t *testing.T) {
		k, v, entry := set(t)
		code := k.code(v.Challenge.ID)
		if _, err := k.CancelVerification(ctx, v.ID); err != nil {
			t.Fatal(err)
		}
		k.awaitChallenge(v.Challenge.ID, watchword.Canceled) // it uses the store until then
		k.store.Store = rollbackStore{k.store.Store, entry}
		_, err := k.checkMethod(v.ID, "", code)
		k.requireCode(err, watchword.ErrChallengeCanceled)
		_, err = k.OpenMethod(ctx, v.ID, "m1")
		k.requireCode(err, watchword.ErrChallengeCanceled)
	})
}

// A rollbackStore always has an earlier version of one entry, and accepts every change of it.
type rollbackStore struct {
	watchword.Store
	earlier watchword.Entry
}

func (s rollbackStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	if id == s.earlier.ID {
		return s.earlier, nil
	}
	return s.Store.Get(ctx, id)
}

func (s rollbackStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if e.ID == s.earlier.ID {
		return nil
	}
	return s.Store.Update(ctx, e, out...)
}
