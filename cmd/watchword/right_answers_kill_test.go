package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// A process is killed after it has spent an answer and before it has approved the challenge. The same answer is then approved for that
// challenge. No other answer is, and no other challenge is approved by it.
func TestRightAnswerIsApprovedAfterKillBetweenSpendingAndApproval(t *testing.T) {
	t.Parallel()
	eachStorage(t, func(t *testing.T, s testStorage) {
		other, factors := s.server(t, s.proxy()), s.factors(t)
		for _, k := range strategiesUnderTest(t, other) {
			for _, wrong := range slices.Compact([]int{0, k.tries - 1}) {
				t.Run(fmt.Sprintf("%s after %d wrong", k.strategy, wrong), func(t *testing.T) {
					through := s.proxy()
					p := &twoServers{nodes: [2]*node{s.server(t, through), other}, factors: factors}
					for n := range rounds(4, 60) {
						killed := p.killAfterSpending(t, through, rightAnswerCase{k, wrong, 1})
						p.nodes[0] = s.server(t, through) // the next one to be killed
						if n%10 == 0 {                    // a refusal may wait for the lost try
							killed.expectOthersRefused(t, p.nodes[0])
						}
						killed.expectSameAnswerApproved(t, p.nodes[0])
					}
				})
			}
		}
	})
}

// entryKeyPart is in every command on a challenge, and in no command of the outbox.
const entryKeyPart = "}:e:"

// An interruptedCheck is a check whose server was killed.
type interruptedCheck struct {
	who       *person
	id, other string // the challenge, and another one of the same subject that is open
	right     any
}

// killAfterSpending sends a right answer, and kills the server when it sends the script that approves the challenge.
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
	hold := through.HoldNth(entryKeyPart, 2) // the first script charges the try
	answered := make(chan reply, 1)
	go func() {
		r, _ := p.nodes[0].answer(id, "mfa", who.subject, right)
		answered <- r
	}()
	waitForHold(t, hold, answered)
	// The first script of a process for a Redis node is refused, because the process does not know the node's clock yet. It is sent again.
	if f, err := p.factor(t.Context(), who.subject); err == nil && f.LastUsedAt.IsZero() {
		next := through.HoldNth(entryKeyPart, 1)
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
		t.Fatalf("answered without the script that approves: %d %s", r.status, r.text)
	case <-time.After(testTimeout):
		t.Fatal("the script that approves does not arrive")
	}
}

// expectOutcome sends an answer to a server and checks the outcome.
func (b interruptedCheck) expectOutcome(t *testing.T, n *node, what, id string, answer any, want func(outcome string) bool) {
	t.Helper()
	r, err := n.answer(id, "mfa", b.who.subject, answer)
	if err != nil {
		t.Fatal(err)
	}
	if !want(r.outcome()) {
		t.Errorf("%s: %s", what, r.outcome())
	}
	if claims, _ := r.body["claims"].(object); r.status == http.StatusOK && claims["jti"] != id {
		t.Errorf("%s: receipt with jti %v", what, claims["jti"])
	}
}

// expectOthersRefused sends answers that must not be approved although the right one was spent.
func (b interruptedCheck) expectOthersRefused(t *testing.T, n *node) {
	t.Helper()
	notApproved := func(outcome string) bool { return outcome != "200" }
	b.expectOutcome(t, n, "another challenge by the same answer", b.other, b.right, notApproved)
	if len(b.who.wrong) > 0 {
		b.expectOutcome(t, n, "the challenge by another answer", b.id, b.who.wrong[3], notApproved)
	}
}

// expectSameAnswerApproved sends the same answer twice. The first is approved.
func (b interruptedCheck) expectSameAnswerApproved(t *testing.T, n *node) {
	t.Helper()
	is := func(want string) func(string) bool { return func(outcome string) bool { return outcome == want } }
	b.expectOutcome(t, n, "the same answer", b.id, b.right, is("200"))
	b.expectOutcome(t, n, "the same answer again", b.id, b.right, is("409 challenge_approved"))
}
