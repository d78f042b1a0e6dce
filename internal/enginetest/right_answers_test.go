package enginetest_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// Of any number of identical right answers, over two nodes of which one has a slow store, exactly one is approved, the others
// get ErrChallengeApproved, no failure is counted, and one code is spent.
func TestIdenticalRightAnswersApproveExactlyOnce(t *testing.T) {
	stores := map[string]func(*testing.T) func(*watchword.Config){
		"memory": func(*testing.T) func(*watchword.Config) { return func(*watchword.Config) {} }, "sqlite": onFile}
	for name, open := range stores {
		for _, strategy := range []string{"totp", "hotp", "recovery"} {
			for _, copies := range []int{2, 3, 5, 10, 40} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, strategy, copies), func(t *testing.T) {
					t.Parallel()
					k := newFactorKit(t, open(t))
					remoteNode := k.newNode(func(c *watchword.Config) { c.Store = &slowStore{c.Store, 12 * time.Millisecond} })
					for round := range rounds() {
						k.answerConcurrently(strategy, copies, round, remoteNode)
					}
				})
			}
		}
	}
}

func (k *factorKit) answerConcurrently(strategy string, copies, round int, remoteNode *watchword.Engine) {
	k.t.Helper()
	k.clock.advance(time.Hour) // the budget is full again
	if strategy == "recovery" && len(k.codes) < 2 {
		k.enrolAll(strategy)
	}
	id := k.startChallenge(strategy)
	v, err := k.Status(context.Background(), id)
	if err != nil {
		k.t.Fatal(err)
	}
	wrong := []int{0, 1, v.TriesLeft - 1}[round%3]
	for range wrong {
		if _, err := k.check(id, k.wrongAnswer(strategy)); err == nil {
			k.t.Fatal("a wrong answer was approved")
		}
	}
	answer, nodes := k.rightAnswer(strategy), []*watchword.Engine{remoteNode, k.Engine}
	got := runConcurrently(copies, func(i int) error {
		time.Sleep(time.Duration(i%7) * 3 * time.Millisecond)
		return repeatInFlight(func() error { _, err := check(nodes[i%2], id, answer); return err })
	})
	if got[""] != 1 || got["challenge_approved"] != copies-1 {
		k.t.Errorf("round %d, %d copies after %d wrong answers: %v", round, copies, wrong, got)
	}
	if n := k.failures(strategy); n != 0 {
		k.t.Errorf("round %d: %d failures", round, n)
	}
	k.clock.advance(time.Hour)
	if _, err := k.check(k.startChallenge(strategy), answer); err == nil && !k.mayAccept(strategy, answer) {
		k.t.Error("the same answer was right for another challenge")
	}
	k.clock.advance(time.Hour)
	if _, err := k.check(k.startChallenge(strategy), k.rightAnswer(strategy)); err != nil { // no other code was spent
		k.t.Errorf("the next answer: %v", err)
	}
}

// crashingStore fails Close, like a process that dies between spending and closing.
type crashingStore struct {
	watchword.Store
	dead bool
}

var errDied = fmt.Errorf("the process died")

func (d *crashingStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	if c.State == watchword.StateApproved && d.dead {
		return errDied
	}
	return d.Store.Close(ctx, id, c)
}

// answerAndCrash gives a right answer on a node that dies before it closes the challenge.
func (k *factorKit) answerAndCrash(strategy string, wrong int) (id, answer string) {
	k.t.Helper()
	id = k.startChallenge(strategy)
	for range wrong {
		if _, err := k.check(id, k.wrongAnswer(strategy)); err == nil {
			k.t.Fatal("a wrong answer was approved")
		}
	}
	answer = k.rightAnswer(strategy)
	node := k.newNode(func(c *watchword.Config) { c.Store = &crashingStore{c.Store, true} })
	if _, err := check(node, id, answer); err == nil {
		k.t.Fatal("the node did not die")
	}
	return id, answer
}

func TestSameRightAnswerIsApprovedAfterCrash(t *testing.T) {
	for _, strategy := range []string{"totp", "hotp", "recovery"} {
		for wrong := range 3 { // the last round leaves no try
			t.Run(fmt.Sprintf("%s after %d wrong answers", strategy, wrong), func(t *testing.T) {
				t.Parallel()
				k := newFactorKit(t)
				id, answer := k.answerAndCrash(strategy, wrong)
				got := runConcurrently(5, func(int) error { _, err := k.check(id, answer); return err })
				if got[""] != 1 || got["challenge_approved"] != 4 {
					t.Errorf("sent again: %v", got)
				}
				if n := k.failures(strategy); n != 0 {
					t.Errorf("%d failures", n)
				}
				_, err := k.check(id, answer)
				k.requireCode(err, watchword.ErrChallengeApproved)
			})
		}
	}
}

func (e *events) ofType(kind string) (out []watchword.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if ev.Type == kind {
			out = append(out, ev)
		}
	}
	return out
}

// delayedCloseStore runs a function before each Close, such as one that advances the clock.
type delayedCloseStore struct {
	watchword.Store
	pass func()
}

func (l *delayedCloseStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	if c.State == watchword.StateApproved {
		l.pass()
	}
	return l.Store.Close(ctx, id, c)
}

// An approval later than ten seconds after its try is refused: the challenge may be locked by then.
func TestLateApprovalIsRefused(t *testing.T) {
	k := newFactorKit(t)
	id, pass := k.startChallenge("hotp"), func() { k.clock.advance(10 * time.Second) }
	answer := k.rightAnswer("hotp")
	_, err := check(k.newNode(func(c *watchword.Config) { c.Store = &delayedCloseStore{c.Store, pass} }), id, answer)
	k.requireCode(err, watchword.ErrUnavailable)
	if v, _ := k.Status(context.Background(), id); v.Status != watchword.Pending {
		t.Fatal(v.Status)
	}
	if _, err := k.check(id, answer); err != nil { // the note is valid for longer
		t.Error(err)
	}
}

// gatedStore blocks an approval until the gate opens.
type gatedStore struct {
	watchword.Store
	arrived, open chan struct{}
}

func (g *gatedStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	if c.State == watchword.StateApproved {
		close(g.arrived)
		<-g.open
	}
	return g.Store.Close(ctx, id, c)
}

// Of two copies of a right answer, one has spent but not closed when the other reads the factor or counts its failure. The
// other is not wrong.
func TestConcurrentCopyOfRightAnswerIsNotWrong(t *testing.T) {
	for name, readsFirst := range map[string]bool{"before it reads the factor": false, "after it has read the factor": true} {
		t.Run(name, func(t *testing.T) {
			factor := func(ctx context.Context, c *watchword.Challenge) watchword.Factor {
				all, err := c.Factors(ctx)
				if err != nil || len(all) != 1 {
					t.Errorf("%d factors, %v", len(all), err)
				}
				return all[0]
			}
			spends := func(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
				f := factor(ctx, c)
				f.Data = []byte("spent")
				return watchword.Proof{AMR: []string{"otp"}, Spend: &f}, nil
			}
			l := &scriptedVerifier{verify: spends, enrol: func(context.Context, *watchword.Challenge, string) (watchword.Factor, error) {
				return watchword.Factor{ID: "fa_1", Data: []byte("new")}, nil
			}}
			k := newKit(t, withVerifier(l))
			if _, err := k.check(k.start(enrolmentStart()).ID, "x", forEnrolment); err != nil {
				t.Fatal(err)
			}
			id := k.start(verifierStart()).ID
			gate := &gatedStore{k.store.Store, make(chan struct{}), make(chan struct{})}
			fast := k.newNode(func(c *watchword.Config) { c.Store = gate })
			overtaking := make(chan error, 1)
			l.verify = func(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
				var seen watchword.Factor
				if readsFirst {
					seen = factor(ctx, c)
				}
				l.verify = spends
				go func() { _, err := check(fast, id, "x"); overtaking <- err }()
				<-gate.arrived
				if !readsFirst {
					seen = factor(ctx, c)
				}
				return watchword.Proof{Compared: []watchword.Factor{seen}}, watchword.ErrMismatch
			}
			if _, err := k.check(id, "x"); err != nil {
				t.Errorf("the copy: %v", err)
			}
			close(gate.open)
			k.requireCode(<-overtaking, watchword.ErrChallengeApproved)
			if all, err := k.ListFactors(context.Background(), subject); err != nil || all[0].Failures != 0 {
				t.Errorf("%+v %v", all, err)
			}
		})
	}
}
