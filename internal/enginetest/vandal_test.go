package enginetest_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// entryID finds what the store calls a challenge.
func (k *kit) entryID(start func() *watchword.Started) (string, *watchword.Started) {
	k.t.Helper()
	s := &recordingStore{Store: k.store.Store}
	k.store.Store = s
	defer func() { k.store.Store = s.Store }()
	started := start()
	return s.created[len(s.created)-1].ID, started
}

// Whoever can read and write the store, but has no key, gets no answer approved and no status to read approved.
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
		ref, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
		return scene{k, ref, s, k.code(s.ID)}
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
		ref, other := sc.entryID(func() *watchword.Started { return sc.start(startByEmail()) })
		e, err := sc.store.Store.Get(ctx, ref)
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
		ref, s := k.entryID(func() *watchword.Started { return k.start(req) })
		var seen []watchword.Guess
		k.store.onAttempt = func(_ string, g []watchword.Guess) { seen = g }
		_, _ = k.check(s.ID, "123456")
		k.store.replaceEntry(ref, func(e watchword.Entry) watchword.Entry {
			e.State, e.Mark = watchword.StateApproved, seen[0].Mark
			return e
		})
		notApproved(t, scene{k, ref, s, ""}, k.Engine)
	})
}

// codeFromNewNode is a challenge's code, by a node that has not seen it start.
func (k *kit) codeFromNewNode(s *watchword.Started) string {
	k.t.Helper()
	m, err := k.newNode().ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 1})
	if err != nil {
		k.t.Fatal(err)
	}
	return m.Code.Reveal()
}

// A thief of the store and the log finds nothing, in any usual encoding.
func TestAttackerWithStoreAndLogReadAccessFindsNoSecret(t *testing.T) {
	k := newKit(t)
	s := &recordingStore{Store: k.store.Store}
	k.store.Store = s
	var seen bytes.Buffer
	k.store.onAttempt = func(_ string, g []watchword.Guess) {
		for _, guess := range g {
			seen.Write(guess.Digest)
			seen.Write(guess.Mark)
		}
	}
	req := startByEmail()
	req.Nonce, req.Metadata = "a-nonce-of-the-app", map[string]string{"order": "number-seventeen"}
	started := k.start(req)
	code := k.code(started.ID)
	k.requireCode(k.answerWrong(started.ID), watchword.ErrIncorrectAnswer)
	if err := k.Answer(context.Background(), started.ID, watchword.Answer{Text: code}, watchword.Client{}); err != nil {
		t.Fatal(err)
	}
	r, err := k.Reserve(context.Background(), "POST /v1/challenges", "key-of-the-app", []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Finish(context.Background(), []byte("the-answer")); err != nil {
		t.Fatal(err)
	}
	for _, e := range s.created {
		got, err := s.Store.Get(context.Background(), e.ID)
		if err != nil {
			t.Fatal(err)
		}
		seen.WriteString(e.ID)
		for _, part := range slices.Concat(e.Digests, [][]byte{e.Sealed, got.Sealed, got.Mark}) {
			seen.Write(part)
			seen.WriteString(hex.EncodeToString(part))
			seen.WriteString(base64.StdEncoding.EncodeToString(part))
		}
	}
	for name, secret := range map[string]string{"code": code, "handle": started.Handle.Reveal(), "ticket": started.Ticket.Reveal(), "address": alice,
		"subject": subject, "nonce": req.Nonce, "metadata": "number-seventeen", "key": "key-of-the-app", "answer": "the-answer"} {
		for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret))} {
			if bytes.Contains(seen.Bytes(), []byte(form)) {
				t.Errorf("the store holds the %s", name)
			}
			if bytes.Contains(k.log.Bytes(), []byte(form)) {
				t.Errorf("the log holds the %s", name)
			}
		}
	}
}

// An id is one text only, and every change of it makes it unknown and charges nobody.
func TestChangedIDIsUnknownAndChargesNothing(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	spy := &recordingStore{Store: k.store.Store}
	k.store.Store = spy
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	for i := 3; i < len(s.ID); i++ {
		at := strings.IndexByte(alphabet, s.ID[i])
		for bit := range 6 {
			changed := s.ID[:i] + string(alphabet[at^1<<bit]) + s.ID[i+1:]
			_, err := k.check(changed, k.code(s.ID))
			if !errors.Is(err, watchword.ErrUnknownChallenge) {
				t.Fatalf("%d.%d: %v", i, bit, err)
			}
		}
	}
	for _, id := range []string{"", "ch_", s.ID + "A", s.ID[:len(s.ID)-1], s.ID[3:], strings.ToUpper(s.ID), s.ID + "=", " " + s.ID} {
		if _, err := k.check(id, "123456"); !errors.Is(err, watchword.ErrUnknownChallenge) {
			t.Fatalf("%q: %v", id, err)
		}
	}
	if v, _ := k.Status(context.Background(), s.ID); v.TriesLeft != 5 {
		t.Fatalf("%d tries left", v.TriesLeft)
	}
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
}

// Ids of one group and one app share no bytes at any place, beyond chance.
func TestIDsOfOneGroupShareNoBytes(t *testing.T) {
	k := newKit(t)
	const n = 200
	var raw [][]byte
	for range n {
		b, err := base64.RawURLEncoding.DecodeString(k.start(startByEmail()).ID[3:])
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, b)
	}
	for at := range raw[0] {
		values := map[byte]int{}
		for _, b := range raw {
			values[b[at]]++
		}
		for v, times := range values {
			if times > 10 { // 200 draws of 256 values: more than ten of one has a chance below 1e-8
				t.Errorf("byte %d is %#x %d times", at, v, times)
			}
		}
	}
}

func FuzzChallengeID(f *testing.F) {
	k := newKit(f)
	f.Add(k.start(startByEmail()).ID)
	f.Add("ch_")
	other := k.newNode(func(c *watchword.Config) { c.App = "bank" })
	f.Fuzz(func(t *testing.T, id string) {
		if k.OwnsChallenge(id) && other.OwnsChallenge(id) {
			t.Fatal("two apps own one id")
		}
	})
}
