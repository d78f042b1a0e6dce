package enginetest_test

import (
	"context"
	"net/url"
	"testing"

	"github.com/watchword-auth/watchword"
)

// An attacker who can write to the store puts back content from before the victim opened the page: no browser is bound to the page
// then, or the attacker's own. What the victim answered while the page was open needs the return code of the victim's browser all
// the same, on every node.
func TestReceiptNeedsItsReturnCodeThoughTheStoreForgetsWhoOpenedThePage(t *testing.T) {
	ctx := context.Background()
	for _, opener := range []string{"nobody", "the attacker"} {
		t.Run("challenge of "+opener, func(t *testing.T) {
			k := newKit(t, withReturnURL)
			entryID, s := k.entryID(func() *watchword.Started { return k.start(withPage(startByEmail())) })
			earlier, err := k.store.Get(ctx, entryID)
			if err != nil {
				t.Fatal(err)
			}
			attacker := ""
			if opener != "nobody" {
				earlier = k.whileDiverted(earlier, func() { attacker = k.openPage(s).Reveal() })
			}
			k.openPage(s)
			k.answer(s)
			approved, err := k.store.Get(ctx, entryID)
			if err != nil {
				t.Fatal(err)
			}
			earlier.State, earlier.Mark = approved.State, approved.Mark
			k.store.Store = rollbackStore{k.store.Store, earlier}
			for _, e := range []*watchword.Engine{k.Engine, k.newNode()} {
				req := watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: s.Purpose, Subject: s.Subject}
				if p, err := e.ViewPage(ctx, s.ID, attacker); err == nil {
					req.ReturnCode = returnCodeIn(t, p.Next)
				}
				_, err := e.Redeem(ctx, s.ID, req)
				k.requireCode(err, watchword.ErrReturnCodeInvalid)
			}
		})
		for name, method := range map[string]watchword.MethodRequest{"compared by the strategy": totpMethod, "compared by the store": smsMethod} {
			t.Run("verification of "+opener+" "+name, func(t *testing.T) {
				k := newVerificationKit(t, withReturnURL)
				spy := &recordingStore{Store: k.store.Store}
				k.store.Store = spy
				req := verificationOf(method)
				req.ReturnURL = pageReturnURL
				v := k.startVerification(req)
				k.store.Store = spy.Store
				open := func() string {
					cookie, err := k.OpenVerificationPage(ctx, v.ID, v.Ticket.Reveal(), nil)
					if err != nil {
						t.Fatal(err)
					}
					return cookie.Reveal()
				}
				earlier, attacker := spy.created[0], "" // the verification is stored before its challenge
				if opener != "nobody" {
					earlier = k.whileDiverted(earlier, func() { attacker = open() })
				}
				open()
				answer := ""
				if method == totpMethod {
					answer = k.rightAnswer("totp")
				} else {
					answer = k.code(v.Challenge.ID)
				}
				if err := k.answerOnPage(v.ID, "", answer); err != nil {
					t.Fatal(err)
				}
				k.awaitClosed(spy.created[1].ID)
				k.store.Store = rollbackStore{k.store.Store, earlier}
				node := k.newNode()
				redemption := watchword.RedeemRequest{Handle: v.Handle.Reveal(), Purpose: "sign_in", Subject: subject}
				if p, err := node.ViewVerificationPage(ctx, v.ID, attacker); err == nil {
					redemption.ReturnCode = returnCodeIn(t, p.Next)
				}
				_, err := node.RedeemVerification(ctx, v.ID, redemption)
				k.requireCode(err, watchword.ErrReturnCodeInvalid)
			})
		}
	}
}

func returnCodeIn(t *testing.T, next watchword.Code) string {
	t.Helper()
	u, err := url.Parse(next.Reveal())
	if err != nil || u.Query().Get("return_code") == "" {
		t.Fatalf("the page leads to %v, %v", u, err)
	}
	return u.Query().Get("return_code")
}

// whileDiverted calls change, whose change of an entry reaches the attacker and not the store. It returns the changed entry.
func (k *kit) whileDiverted(e watchword.Entry, change func()) watchword.Entry {
	stored, diverted := k.store.Store, &divertingStore{Store: k.store.Store, id: e.ID}
	k.store.Store = diverted
	defer func() { k.store.Store = stored }()
	change()
	e.Sealed = diverted.sealed
	e.Version++
	return e
}

// A divertingStore keeps the content of an update of one entry to itself.
type divertingStore struct {
	watchword.Store
	id     string
	sealed []byte
}

func (s *divertingStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if e.ID != s.id {
		return s.Store.Update(ctx, e, out...)
	}
	s.sealed = e.Sealed
	return nil
}
