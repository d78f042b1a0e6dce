package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// A process dies when an answer has been spent and the challenge is not won yet. The same answer wins at the next one; no
// other answer does, and it wins no other challenge.
func TestRightAnswerIsApprovedAfterKillBetweenSpendingAndWinning(t *testing.T) {
	eachStorage(t, func(t *testing.T, s testStorage) {
		other, factors := s.server(t, s.proxy()), s.factors(t)
		for _, k := range kinds(t, other) {
			for _, wrong := range slices.Compact([]int{0, k.tries - 1}) {
				t.Run(fmt.Sprintf("%s after %d wrong", k.strategy, wrong), func(t *testing.T) {
					through := s.proxy()
					p := &twoServers{nodes: [2]*node{s.server(t, through), other}, factors: factors}
					for n := range rounds(10, 60) {
						killed := p.killAfterSpending(t, through, rightAnswerCase{k, wrong, 1})
						p.nodes[0] = s.server(t, through) // and the next one to be killed
						if n%10 == 0 {                    // a refusal may have to wait for the try that is lost
							killed.answerOtherwise(t, p.nodes[0])
						}
						killed.answerAgain(t, p.nodes[0])
					}
				})
			}
		}
	})
}

// An interruptedCheck is one whose server died.
type interruptedCheck struct {
	who       *person
	id, other string // the challenge, and another one of the same subject that is open
	right     any
}

// killAfterSpending sends a right answer and kills the server when it is about to close the challenge.
func (p *twoServers) killAfterSpending(t *testing.T, through redisProxy, c rightAnswerCase) interruptedCheck {
	t.Helper()
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	who, id, right, err := p.prepare(c)
	fail(err)
	other, err := p.nodes[1].begin(who.strategy, "mfa", who.subject)
	fail(err)
	hold := through.HoldNth("evalsha", 2) // the first script charges the try
	answered := make(chan reply, 1)
	go func() {
		r, _ := p.nodes[0].answer(id, "mfa", who.subject, right)
		answered <- r
	}()
	waitForHold(t, hold, answered)
	// A process that has not heard of a partition's clock yet has its first script refused, and sends it again.
	if f, err := p.factor(t.Context(), who.subject); err == nil && f.LastUsedAt.IsZero() {
		next := through.HoldNth("evalsha", 1)
		hold.Release()
		hold = next
		waitForHold(t, hold, answered)
	}
	p.nodes[0].kill()
	hold.Drop()
	if f, err := p.factor(t.Context(), who.subject); err != nil || f.LastUsedAt.IsZero() {
		t.Fatalf("killed before the answer was spent: %v", err)
	}
	return interruptedCheck{who, id, other.str("id"), right}
}

func waitForHold(t *testing.T, hold *redistest.Hold, answered <-chan reply) {
	t.Helper()
	select {
	case <-hold.Held():
	case r := <-answered:
		t.Fatalf("answered without the script that closes: %d %s", r.status, r.text)
	case <-time.After(patience):
		t.Fatal("the script that closes does not come")
	}
}

// ask gives an answer to a server and expects an outcome.
func (b interruptedCheck) ask(t *testing.T, n *node, what, id string, answer any, want func(outcome string) bool) {
	t.Helper()
	r, err := n.answer(id, "mfa", b.who.subject, answer)
	if err != nil {
		t.Fatal(err)
	}
	if !want(r.outcome()) {
		t.Errorf("%s: %s", what, r.outcome())
	}
	if claims, _ := r.body["claims"].(object); r.status == http.StatusOK && claims["jti"] != id {
		t.Errorf("%s: a receipt of %v", what, claims["jti"])
	}
}

// answerOtherwise gives answers that what was spent must not help.
func (b interruptedCheck) answerOtherwise(t *testing.T, n *node) {
	t.Helper()
	notApproved := func(outcome string) bool { return outcome != "200" }
	b.ask(t, n, "another challenge by the same answer", b.other, b.right, notApproved)
	if len(b.who.wrong) > 0 {
		b.ask(t, n, "the challenge by another answer", b.id, b.who.wrong[3], notApproved)
	}
}

// answerAgain gives the same answer once more, and again.
func (b interruptedCheck) answerAgain(t *testing.T, n *node) {
	t.Helper()
	is := func(want string) func(string) bool { return func(outcome string) bool { return outcome == want } }
	b.ask(t, n, "the same answer", b.id, b.right, is("200"))
	b.ask(t, n, "the same answer again", b.id, b.right, is("409 challenge_approved"))
}
