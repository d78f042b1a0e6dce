package enginetest_test

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// An id has one spelling. A changed id is unknown and charges nothing.
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

// Ids of one group and one app share no bytes at any position, beyond chance.
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
