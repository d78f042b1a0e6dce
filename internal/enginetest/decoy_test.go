package enginetest_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp"
)

// withFixedCode makes every code known, by a test identity.
func withFixedCode(t *testing.T) func(*watchword.Config) {
	return func(c *watchword.Config) {
		codes, err := otp.New(otp.Config{Clock: c.Clock, TestAddresses: []otp.TestIdentity{
			{Address: alice, Code: "000000", Purposes: []string{"sign_in"}, Until: c.Clock().Add(24 * time.Hour)}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Strategies = []watchword.Strategy{codes}
	}
}

func TestDecoyRejectsRightCode(t *testing.T) {
	k := newKit(t, withFixedCode(t))
	if _, err := k.check(k.start(startByEmail()).ID, "000000"); err != nil {
		t.Fatal(err)
	}
	req := startByEmail()
	req.Decoy = true
	_, err := k.check(k.start(req).ID, "000000")
	k.requireCode(err, watchword.ErrIncorrectAnswer)
}

func TestDigestOfACodeDiffersByChallenge(t *testing.T) {
	k := newKit(t, withFixedCode(t))
	s := &recordingStore{Store: k.store.Store}
	k.store.Store = s
	k.start(startByEmail())
	k.start(startByEmail())
	if bytes.Equal(s.created[0].Digests[0], s.created[1].Digests[0]) {
		t.Fatal("a digest could be moved")
	}
}

func TestComposeMessageRefusesOlderSend(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	k.clock.advance(time.Minute)
	if _, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	node := k.newNode()
	if _, err := node.ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 1}); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("the first message: %v", err)
	}
	if _, err := node.ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 2}); err != nil {
		t.Fatal(err)
	}
}

func TestAddressHashIsHMACUnderAddressKey(t *testing.T) {
	k := newKit(t)
	key, err := base64.RawURLEncoding.DecodeString(k.AddressKey().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(alice))
	if want := base64.RawURLEncoding.EncodeToString(mac.Sum(nil)); k.AddressHash(alice) != want {
		t.Fatalf("%s, want %s", k.AddressHash(alice), want)
	}
	if k.AddressHash(alice) == k.newNode(func(c *watchword.Config) { c.App = "bank" }).AddressHash(alice) {
		t.Fatal("two apps can match their users")
	}
}

func TestCheckRefusesExpiredChallengeThatStoreExtends(t *testing.T) {
	k := newKit(t, withVerifier(&scriptedVerifier{verify: acceptAll}))
	ref, s := k.entryID(func() *watchword.Started { return k.start(verifierStart()) })
	e, err := k.store.Store.Get(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(11 * time.Minute)
	k.store.replaceEntry(ref, func(watchword.Entry) watchword.Entry { return e })
	_, err = k.check(s.ID, "x")
	k.requireCode(err, watchword.ErrChallengeExpired)
}
