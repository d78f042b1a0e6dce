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

// fixed makes every code known, by a test identity.
func fixed(t *testing.T) func(*watchword.Config) {
	return func(c *watchword.Config) {
		codes, err := otp.New(otp.Config{Clock: c.Clock, TestAddresses: []otp.TestIdentity{
			{Address: alice, Code: "000000", Purposes: []string{"sign_in"}, Until: c.Clock().Add(24 * time.Hour)}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Strategies = []watchword.Strategy{codes}
	}
}

func TestDecoyIsNotApprovedEvenByTheRightCode(t *testing.T) {
	k := newKit(t, fixed(t))
	if _, err := k.check(k.start(byMail()).ID, "000000"); err != nil {
		t.Fatal(err)
	}
	req := byMail()
	req.Decoy = true
	_, err := k.check(k.start(req).ID, "000000")
	k.mustCode(err, watchword.ErrIncorrectAnswer)
}

func TestOneCodeHasAnotherDigestInEachChallenge(t *testing.T) {
	k := newKit(t, fixed(t))
	s := &spy{Store: k.store.Store}
	k.store.Store = s
	k.start(byMail())
	k.start(byMail())
	if bytes.Equal(s.created[0].Digests[0], s.created[1].Digests[0]) {
		t.Fatal("a digest could be moved")
	}
}

func TestOlderMessagesAreNotSentAfterANewerOne(t *testing.T) {
	k := newKit(t)
	s := k.start(byMail())
	k.clock.advance(time.Minute)
	if _, err := k.Resend(context.Background(), s.ID, watchword.ResendRequest{}); err != nil {
		t.Fatal(err)
	}
	node := k.sibling()
	if _, err := node.ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 1}); !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("the first message: %v", err)
	}
	if _, err := node.ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: s.ID, Send: 2}); err != nil {
		t.Fatal(err)
	}
}

func TestAddressHashIsPlainHMACUnderTheAppsKey(t *testing.T) {
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
	if k.AddressHash(alice) == k.sibling(func(c *watchword.Config) { c.App = "bank" }).AddressHash(alice) {
		t.Fatal("two apps can match their users")
	}
}

func TestAStoreThatExtendsAJudgedChallenge(t *testing.T) {
	k := newKit(t, withLiar(&liar{verify: yes}))
	ref, s := k.storeID(func() *watchword.Started { return k.start(judged()) })
	e, err := k.store.Store.Get(context.Background(), ref)
	if err != nil {
		t.Fatal(err)
	}
	k.clock.advance(11 * time.Minute)
	k.store.answer(ref, func(watchword.Entry) watchword.Entry { return e })
	_, err = k.check(s.ID, "x")
	k.mustCode(err, watchword.ErrChallengeExpired)
}
