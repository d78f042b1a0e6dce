package enginetest_test

import (
	"bytes"
	"context"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// entryID returns the store's id of a challenge.
func (k *kit) entryID(start func() *watchword.Started) (string, *watchword.Started) {
	k.t.Helper()
	s := &recordingStore{Store: k.store.Store}
	k.store.Store = s
	defer func() { k.store.Store = s.Store }()
	started := start()
	return s.created[len(s.created)-1].ID, started
}

// An attacker who can read and write the store, but has no key, gets no answer approved and no status to read approved.
func TestAttackerWithStoreWriteAccessGetsNoApproval(t *testing.T) {
	ctx := context.Background()
	type scene struct {
		*kit
		ref  string
		s    *watchword.Started
		code string
	}
	set := func(t *testing.T) scene {
		k := newKit(t)
		entryID, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
		return scene{k, entryID, s, k.code(s.ID)}
	}
	notApproved := func(t *testing.T, sc scene, e *watchword.Engine) {
		t.Helper()
		if v, err := e.Status(ctx, sc.s.ID); err == nil && v.Status == watchword.Approved {
			t.Error("the status reads approved")
		}
		r, err := e.Redeem(ctx, sc.s.ID, watchword.RedeemRequest{Handle: sc.s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
		if err == nil {
			t.Errorf("a receipt was collected: %+v", r.Claims)
		}
	}
	t.Run("planted digest", func(t *testing.T) {
		sc := set(t)
		var seen []watchword.Guess
		sc.store.onAttempt = func(_ string, g []watchword.Guess) { seen = g }
		wrong := wrongCode(sc.code)
		_, err := sc.check(sc.s.ID, wrong)
		sc.requireCode(err, watchword.ErrIncorrectAnswer)
		planted := func(e watchword.Entry) watchword.Entry {
			e.State, e.Digests, e.Mark = watchword.StateApproved, append(e.Digests, seen[0].Digest), seen[0].Mark
			return e
		}
		e, err := sc.store.Store.Get(ctx, sc.ref)
		if err != nil {
			t.Fatal(err)
		}
		sc.store.replaceEntry(sc.ref, func(watchword.Entry) watchword.Entry { return planted(e) })
		if _, err := sc.check(sc.s.ID, wrong); err == nil {
			t.Error("the planted digest was approved")
		}
		notApproved(t, sc, sc.Engine)
		notApproved(t, sc, sc.newNode())
	})
	t.Run("state set to approved", func(t *testing.T) {
		sc := set(t)
		for _, mark := range [][]byte{nil, []byte("w"), bytes.Repeat([]byte{'w'}, 41), make([]byte, 41)} {
			sc.store.replaceEntry(sc.ref, func(e watchword.Entry) watchword.Entry {
				e.State, e.Mark = watchword.StateApproved, mark
				return e
			})
			notApproved(t, sc, sc.Engine)
			_, err := sc.check(sc.s.ID, wrongCode(sc.code))
			if err == nil {
				t.Error("approved")
			}
		}
	})
	t.Run("copied entry", func(t *testing.T) {
		sc := set(t)
		theirs, second := sc.entryID(func() *watchword.Started { return sc.start(startByEmail()) })
		code := sc.codeFromNewNode(second)
		if err := sc.Answer(ctx, second.ID, watchword.Answer{Text: code}, watchword.Client{}); err != nil {
			t.Fatal(err)
		}
		approved, err := sc.store.Store.Get(ctx, theirs)
		if err != nil {
			t.Fatal(err)
		}
		sc.store.replaceEntry(sc.ref, func(watchword.Entry) watchword.Entry { return approved })
		notApproved(t, sc, sc.Engine)
		if _, err := sc.check(sc.s.ID, code); err == nil {
			t.Error("another challenge's entry was approved")
		}
	})
	t.Run("copied seal", func(t *testing.T) {
		sc := set(t)
		entryID, other := sc.entryID(func() *watchword.Started { return sc.start(startByEmail()) })
		e, err := sc.store.Store.Get(ctx, entryID)
		if err != nil {
			t.Fatal(err)
		}
		code := sc.codeFromNewNode(other)
		sc.store.replaceEntry(sc.ref, func(mine watchword.Entry) watchword.Entry {
			mine.Sealed, mine.Digests, mine.State = e.Sealed, e.Digests, watchword.StateApproved
			return mine
		})
		_, err = sc.check(sc.s.ID, code)
		sc.requireCode(err, watchword.ErrUnknownChallenge)
		notApproved(t, sc, sc.Engine)
	})
	t.Run("restored entry", func(t *testing.T) {
		sc := set(t)
		before, err := sc.store.Store.Get(ctx, sc.ref)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sc.check(sc.s.ID, sc.code); err != nil {
			t.Fatal(err)
		}
		won, err := sc.store.Store.Get(ctx, sc.ref)
		if err != nil {
			t.Fatal(err)
		}
		sc.store.replaceEntry(sc.ref, func(watchword.Entry) watchword.Entry { return before })
		if v, _ := sc.Status(ctx, sc.s.ID); v.Status != watchword.Approved {
			t.Errorf("what ended here reads %s", v.Status)
		}
		sc.store.replaceEntry(sc.ref, func(watchword.Entry) watchword.Entry { return won })
		_, err = sc.check(sc.s.ID, sc.code)
		sc.requireCode(err, watchword.ErrChallengeApproved)
	})
	t.Run("restored after redeem", func(t *testing.T) {
		sc := set(t)
		if err := sc.Answer(ctx, sc.s.ID, watchword.Answer{Text: sc.code}, watchword.Client{}); err != nil {
			t.Fatal(err)
		}
		before, err := sc.store.Store.Get(ctx, sc.ref)
		if err != nil {
			t.Fatal(err)
		}
		redeem := func() error {
			_, err := sc.Redeem(ctx, sc.s.ID, watchword.RedeemRequest{Handle: sc.s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
			return err
		}
		if err := redeem(); err != nil {
			t.Fatal(err)
		}
		sc.store.replaceEntry(sc.ref, func(e watchword.Entry) watchword.Entry {
			e.Sealed = before.Sealed
			return e
		})
		if redeem() == nil {
			t.Error("collected twice")
		}
	})
	t.Run("extended expiry", func(t *testing.T) {
		sc := set(t)
		var won watchword.Entry
		sc.store.onAttempt = func(_ string, g []watchword.Guess) {
			e, err := sc.store.Store.Get(ctx, sc.ref)
			if err != nil {
				t.Error(err)
			}
			e.State, e.Mark, e.ExpiresAt = watchword.StateApproved, g[0].Mark, e.ExpiresAt.Add(time.Hour)
			won = e
		}
		sc.clock.advance(10*time.Minute + time.Second)
		sc.store.replaceEntry(sc.ref, func(watchword.Entry) watchword.Entry { return won })
		_, err := sc.check(sc.s.ID, sc.code)
		sc.requireCode(err, watchword.ErrChallengeExpired)
		notApproved(t, sc, sc.Engine)
	})
	t.Run("decoy", func(t *testing.T) {
		k := newKit(t)
		req := startByEmail()
		req.Decoy = true
		entryID, s := k.entryID(func() *watchword.Started { return k.start(req) })
		var seen []watchword.Guess
		k.store.onAttempt = func(_ string, g []watchword.Guess) { seen = g }
		_, _ = k.check(s.ID, "123456")
		k.store.replaceEntry(entryID, func(e watchword.Entry) watchword.Entry {
			e.State, e.Mark = watchword.StateApproved, seen[0].Mark
			return e
		})
		notApproved(t, scene{k, entryID, s, ""}, k.Engine)
	})
}

// codeFromNewNode returns a challenge's code from a node that did not start it.
func (k *kit) codeFromNewNode(s *watchword.Started) string {
	k.t.Helper()
	m, err := k.newNode().ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 1})
	if err != nil {
		k.t.Fatal(err)
	}
	return m.Code.Reveal()
}

func TestCheckRefusesExpiredChallengeThatStoreExtends(t *testing.T) {
	k := newKit(t, withVerifier(&scriptedVerifier{verify: acceptAll}))
	entryID, s := k.entryID(func() *watchword.Started { return k.start(verifierStart()) })
	e, err := k.store.Store.Get(context.Background(), entryID)
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(11 * time.Minute)
	k.store.replaceEntry(entryID, func(watchword.Entry) watchword.Entry { return e })
	_, err = k.check(s.ID, "x")
	k.requireCode(err, watchword.ErrChallengeExpired)
}

func TestCheckRejectsMarkOfEarlierApproval(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	entryID, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
	code := k.code(s.ID)
	if _, err := k.check(s.ID, code); err != nil {
		t.Fatal(err)
	}
	won, err := k.store.Store.Get(ctx, entryID)
	if err != nil {
		t.Fatal(err)
	}
	// The entry as a store could return it: pending again, without digests, with its old mark.
	for _, state := range []watchword.State{watchword.StatePending, watchword.StateApproved} {
		k.store.replaceEntry(entryID, func(watchword.Entry) watchword.Entry {
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
	entryID, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
	r, err := k.check(s.ID, k.code(s.ID))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := k.store.Store.Get(ctx, entryID)
	if err := k.RedeemReceipt(ctx, *r.Claims, "sign_in", nil); err != nil {
		t.Fatal(err)
	}
	after, _ := k.store.Store.Get(ctx, entryID)
	before.Version = after.Version
	k.store.replaceEntry(entryID, func(watchword.Entry) watchword.Entry { return before })
	k.requireCode(k.newNode().RedeemReceipt(ctx, *r.Claims, "sign_in", nil), watchword.ErrReceiptInvalid)
}

// A mark of this attempt in an entry that is not approved is no approval.
func TestCheckRejectsMarkOfEntryThatIsNotApproved(t *testing.T) {
	k := newKit(t)
	entryID, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
	code := k.code(s.ID)
	e, err := k.store.Store.Get(context.Background(), entryID)
	if err != nil {
		t.Fatal(err)
	}
	k.store.onAttempt = func(_ string, g []watchword.Guess) {
		k.store.replaceEntry(entryID, func(watchword.Entry) watchword.Entry {
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
	entryID, s := k.entryID(func() *watchword.Started { return k.start(verifierStart()) })
	if _, err := k.check(s.ID, "x"); err != nil {
		t.Fatal(err)
	}
	won, err := k.store.Store.Get(context.Background(), entryID)
	if err != nil {
		t.Fatal(err)
	}
	k.store.replaceEntry(entryID, func(watchword.Entry) watchword.Entry {
		repeated := won
		repeated.State, repeated.Mark, repeated.Tries = watchword.StatePending, nil, 3
		return repeated
	})
	_, err = check(k.newNode(), s.ID, "x")
	k.requireCode(err, watchword.ErrChallengeApproved)
}
