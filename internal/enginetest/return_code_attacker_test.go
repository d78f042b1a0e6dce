package enginetest_test

import (
	"context"
	"testing"

	"github.com/watchword-auth/watchword"
)

// An attacker who can write to the store puts back the entry from before the page was opened, so that no browser is bound to it. What
// was answered while the page was open needs its return code all the same, on every node.
func TestReceiptNeedsItsReturnCodeThoughTheStoreForgetsWhoOpenedThePage(t *testing.T) {
	ctx := context.Background()
	t.Run("challenge", func(t *testing.T) {
		k := newKit(t, withReturnURL)
		entryID, s := k.entryID(func() *watchword.Started { return k.start(withPage(startByEmail())) })
		before, err := k.store.Get(ctx, entryID)
		if err != nil {
			t.Fatal(err)
		}
		k.openPage(s)
		k.answer(s)
		approved, err := k.store.Get(ctx, entryID)
		if err != nil {
			t.Fatal(err)
		}
		before.State, before.Mark = approved.State, approved.Mark
		k.store.Store = rollbackStore{k.store.Store, before}
		for _, e := range []*watchword.Engine{k.Engine, k.newNode()} {
			_, err := e.Redeem(ctx, s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: s.Purpose, Subject: s.Subject})
			k.requireCode(err, watchword.ErrReturnCodeInvalid)
		}
	})
	for name, method := range map[string]watchword.MethodRequest{"compared by the strategy": totpMethod, "compared by the store": smsMethod} {
		t.Run(name, func(t *testing.T) {
			k := newVerificationKit(t, withReturnURL)
			spy := &recordingStore{Store: k.store.Store}
			k.store.Store = spy
			v, _ := k.startWithPage(verificationOf(method))
			answer := ""
			if method == totpMethod {
				answer = k.rightAnswer("totp")
			} else {
				answer = k.code(v.Challenge.ID)
			}
			if err := k.answerOnPage(v.ID, "", answer); err != nil {
				t.Fatal(err)
			}
			k.store.Store = rollbackStore{spy.Store, spy.created[0]} // the verification is stored before its challenge
			_, err := k.newNode().RedeemVerification(ctx, v.ID, watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
			k.requireCode(err, watchword.ErrReturnCodeInvalid)
		})
	}
}
