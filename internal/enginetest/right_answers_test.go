package enginetest_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// hotpCode is RFC 4226 §5.3, six digits of SHA-1.
func hotpCode(secret []byte, counter uint64) string {
	mac := hmac.New(sha1.New, secret)
	_ = binary.Write(mac, binary.BigEndian, counter)
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1e6)
}

// slowStore is a store behind a network: each call takes a while to arrive, and its answer to come back.
type slowStore struct {
	watchword.Store
	lag time.Duration
}

func (s *slowStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	time.Sleep(s.lag)
	defer time.Sleep(s.lag)
	return s.Store.Attempt(ctx, id, g, b)
}

func (s *slowStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	time.Sleep(s.lag)
	defer time.Sleep(s.lag)
	return s.Store.Close(ctx, id, c)
}

func (s *slowStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	time.Sleep(s.lag)
	defer time.Sleep(s.lag)
	return s.Store.Get(ctx, id)
}

// factorKit is an engine with the strategies whose answers are spent, and somebody who has enrolled them all.
type factorKit struct {
	*kit
	secrets map[string][]byte
	counter uint64   // of the token, next
	codes   []string // recovery codes that are left
}

func newFactorKit(t *testing.T, options ...func(*watchword.Config)) *factorKit {
	t.Helper()
	apps, err := totp.New(totp.Config{Issuer: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := totp.NewHOTP(totp.HOTPConfig{Issuer: "Shop"})
	if err != nil {
		t.Fatal(err)
	}
	k := &factorKit{secrets: map[string][]byte{}}
	k.kit = newKit(t, append([]func(*watchword.Config){func(c *watchword.Config) {
		c.Strategies = append(c.Strategies, apps, tokens, recovery.New())
	}}, options...)...)
	for _, strategy := range []string{"totp", "hotp", "recovery"} {
		k.enrolAll(strategy)
	}
	k.clock.advance(time.Hour)
	return k
}

// enrolAll enrols with one strategy and keeps what the person has then.
func (k *factorKit) enrolAll(strategy string) {
	k.t.Helper()
	s := k.start(watchword.StartRequest{Strategy: strategy, Purpose: "enrol", Subject: subject, Authority: watchword.Authority{Admin: true}})
	if codes, ok := s.Public["codes"].([]string); ok {
		k.codes = codes
	} else {
		secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(s.Public["secret"].(string))
		if err != nil {
			k.t.Fatal(err)
		}
		k.secrets[strategy] = secret
	}
	answer := k.rightAnswer(strategy)
	if strategy == "recovery" {
		k.codes = append(k.codes, answer) // confirming spends none
	}
	if _, err := k.check(s.ID, answer, forEnrolment); err != nil {
		k.t.Fatalf("enrol %s: %v", strategy, err)
	}
}

// rightAnswer is an answer that was not given yet.
func (k *factorKit) rightAnswer(strategy string) string {
	switch strategy {
	case "totp":
		return hotpCode(k.secrets[strategy], uint64(k.clock.Now().Unix()/30))
	case "hotp":
		k.counter++
		return hotpCode(k.secrets[strategy], k.counter-1)
	}
	code := k.codes[0]
	k.codes = k.codes[1:]
	return code
}

func (k *factorKit) wrongAnswer(strategy string) string {
	if strategy == "recovery" {
		return "2222-2222-2222-2222"
	}
	return wrongCode(hotpCode(k.secrets[strategy], 1<<40))
}

func (k *factorKit) startChallenge(strategy string) string {
	k.t.Helper()
	return k.start(watchword.StartRequest{Strategy: strategy, Purpose: "sign_in", Subject: subject}).ID
}

// failures are the consecutive ones of the factor of a strategy.
func (k *factorKit) failures(strategy string) int {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range all {
		if f.Strategy == strategy {
			return f.Failures
		}
	}
	return -1
}

// rounds are 20, and 60 in a soak.
func rounds() int {
	if os.Getenv("WATCHWORD_SOAK") != "" {
		return 60
	}
	return 20
}

func onFile(t *testing.T) func(*watchword.Config) {
	return func(c *watchword.Config) {
		f, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "watchword.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		c.Factors = f
	}
}

// Of any number of identical right answers, over two nodes of which one is far from the store, exactly one is approved,
// the others hear that the challenge is, no failure is counted, and nothing more than one code is spent.
func TestIdenticalRightAnswersApproveExactlyOnce(t *testing.T) {
	stores := map[string]func(*testing.T) func(*watchword.Config){
		"memory": func(*testing.T) func(*watchword.Config) { return func(*watchword.Config) {} }, "sqlite": onFile}
	for name, open := range stores {
		for _, strategy := range []string{"totp", "hotp", "recovery"} {
			for _, copies := range []int{2, 3, 5, 10, 40} {
				t.Run(fmt.Sprintf("%s/%s/%d", name, strategy, copies), func(t *testing.T) {
					t.Parallel()
					k := newFactorKit(t, open(t))
					far := k.newNode(func(c *watchword.Config) { c.Store = &slowStore{c.Store, 12 * time.Millisecond} })
					for round := range rounds() {
						k.answerConcurrently(strategy, copies, round, far)
					}
				})
			}
		}
	}
}

func (k *factorKit) answerConcurrently(strategy string, copies, round int, far *watchword.Engine) {
	k.t.Helper()
	k.clock.advance(time.Hour) // the budget is whole again
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
	answer, nodes := k.rightAnswer(strategy), []*watchword.Engine{far, k.Engine}
	got := runConcurrently(copies, func(i int) error {
		time.Sleep(time.Duration(i%7) * 3 * time.Millisecond)
		_, err := check(nodes[i%2], id, answer)
		return err
	})
	if got[""] != 1 || got["challenge_approved"] != copies-1 {
		k.t.Errorf("round %d, %d copies after %d wrong answers: %v", round, copies, wrong, got)
	}
	if n := k.failures(strategy); n != 0 {
		k.t.Errorf("round %d: %d failures", round, n)
	}
	k.clock.advance(time.Hour)
	if _, err := k.check(k.startChallenge(strategy), answer); err == nil {
		k.t.Error("the same answer was right for another challenge")
	}
	k.clock.advance(time.Hour)
	if _, err := k.check(k.startChallenge(strategy), k.rightAnswer(strategy)); err != nil { // and none was burned for nothing
		k.t.Errorf("the next answer: %v", err)
	}
}

// crashingStore is a store of a process that dies between spending and winning.
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

// answerAndCrash answers a challenge rightly on a node that dies before it wins.
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
		for wrong := range 3 { // the last one leaves no try
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

// What a note does not open. Each of these answers would be approved if its bound were taken away.
func TestNoteApprovesNoOtherAnswer(t *testing.T) {
	for name, try := range map[string]func(k *factorKit, factors *clock, id, answer string) error{
		"another challenge": func(k *factorKit, _ *clock, _, answer string) error {
			_, err := k.check(k.startChallenge("hotp"), answer)
			return err
		},
		"another answer": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, wrongCode(answer))
			return err
		},
		"another purpose": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, answer, func(r *watchword.CheckRequest) { r.Purpose = "mfa" })
			return err
		},
		"another subject": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, answer, func(r *watchword.CheckRequest) { r.Subject = "user_43" })
			return err
		},
		"another transaction": func(k *factorKit, _ *clock, id, answer string) error {
			_, err := k.check(id, answer, func(r *watchword.CheckRequest) { r.Transaction = map[string]string{"amount": "1"} })
			return err
		},
		"after a minute by the clock of the store of factors": func(k *factorKit, factors *clock, id, answer string) error {
			factors.advance(time.Minute)
			_, err := k.check(id, answer)
			return err
		},
		"after the challenge expired": func(k *factorKit, _ *clock, id, answer string) error {
			k.clock.advance(11 * time.Minute)
			_, err := k.check(id, answer)
			return err
		},
		"after the challenge was canceled": func(k *factorKit, _ *clock, id, answer string) error {
			if _, err := k.Cancel(context.Background(), id); err != nil {
				k.t.Fatal(err)
			}
			_, err := k.check(id, answer)
			return err
		},
		"after the factor was removed": func(k *factorKit, _ *clock, id, answer string) error {
			k.removeAll()
			_, err := k.check(id, answer)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			factors := &clock{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
			k := newFactorKit(t, func(c *watchword.Config) { c.Factors = &memory.Factors{Clock: factors.Now} })
			id, answer := k.answerAndCrash("hotp", 0)
			if err := try(k, factors, id, answer); err == nil {
				t.Fatal("approved")
			}
		})
	}
}

func (k *factorKit) removeAll() {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range all {
		if err := k.RemoveFactor(context.Background(), f.ID, watchword.Authority{Admin: true}); err != nil {
			k.t.Fatal(err)
		}
	}
}

// rolledBackStore is a store that was rolled back: what was won is pending again.
type rolledBackStore struct {
	watchword.Store
	old watchword.Entry
}

func (f *rolledBackStore) Attempt(context.Context, string, []watchword.Guess, watchword.Budget) (watchword.Entry, error) {
	return f.old, nil
}

func (f *rolledBackStore) Close(context.Context, string, watchword.Closing) error { return nil }

// The node that saw a challenge end does not believe the note, whatever the store says; and when a challenge is won its
// note is erased, so that another node does not either.
func TestNoteIsInvalidAfterApproval(t *testing.T) {
	k := newFactorKit(t)
	id := k.startChallenge("hotp")
	if _, err := k.check(id, k.wrongAnswer("hotp")); err == nil {
		t.Fatal("approved")
	}
	spy := &attemptRecorder{Store: k.store.Store}
	k.store.Store = spy
	answer := k.rightAnswer("hotp")
	if _, err := k.check(id, answer); err != nil {
		t.Fatal(err)
	}
	rolledBack := func(c *watchword.Config) { c.Store = &rolledBackStore{c.Store, spy.charged} }
	var err error
	for range 100 { // it is erased soon
		if _, err = check(k.newNode(rolledBack), id, answer); err != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err == nil {
		t.Error("a rollback approves the same answer for as long as the note lives")
	}
	k.store.Store = &rolledBackStore{spy.Store, spy.charged}
	_, err = k.check(id, answer)
	k.requireCode(err, watchword.ErrChallengeApproved)
}

type attemptRecorder struct {
	watchword.Store
	charged watchword.Entry
}

func (s *attemptRecorder) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	e, err := s.Store.Attempt(ctx, id, g, b)
	s.charged = e
	return e, err
}

// Without tries an answer is compared with the note at most three times, whatever the concurrency.
func TestNoteIsComparedAtMostThreeTimesWithoutTries(t *testing.T) {
	k := newFactorKit(t)
	id, answer := k.answerAndCrash("hotp", 2)
	got := runConcurrently(20, func(int) error { _, err := k.check(id, wrongCode(answer)); return err })
	if got["unavailable"] != 20 { // the try that has left the note may still win
		t.Errorf("other answers: %v", got)
	}
	_, err := k.check(id, answer)
	k.requireCode(err, watchword.ErrUnavailable)
	if v, _ := k.Status(context.Background(), id); v.Status != watchword.Pending {
		t.Errorf("while its try may still win the challenge reads %s", v.Status)
	}
	k.clock.advance(10 * time.Second)
	if v, _ := k.newNode().Status(context.Background(), id); v.Status != watchword.Locked {
		t.Errorf("after that it reads %s", v.Status)
	}
	if n := len(k.events.ofType("challenge.locked")); n != 1 {
		t.Errorf("%d events of the lock", n)
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

// delayedCloseStore is a store that a closing reaches only after a while, by the clock of all.
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

// An approval that comes later than ten seconds after its try takes no effect: by then the challenge may read locked.
func TestLateApprovalIsRefused(t *testing.T) {
	k := newFactorKit(t)
	id, pass := k.startChallenge("hotp"), func() { k.clock.advance(10 * time.Second) }
	answer := k.rightAnswer("hotp")
	_, err := check(k.newNode(func(c *watchword.Config) { c.Store = &delayedCloseStore{c.Store, pass} }), id, answer)
	k.requireCode(err, watchword.ErrUnavailable)
	if v, _ := k.Status(context.Background(), id); v.Status != watchword.Pending {
		t.Fatal(v.Status)
	}
	if _, err := k.check(id, answer); err != nil { // the note lives longer
		t.Error(err)
	}
}

// gatedStore is a store where an approval waits at a gate.
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

// Of two copies of a right answer one has spent and not won yet, when the other one's evaluation has begun and looks at the
// factor, or counts its failure. Then it is no wrong answer.
func TestConcurrentCopyOfRightAnswerIsNotWrong(t *testing.T) {
	for name, looksFirst := range map[string]bool{"before it looks at the factor": false, "after it has looked": true} {
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
				if looksFirst {
					seen = factor(ctx, c)
				}
				l.verify = spends
				go func() { _, err := check(fast, id, "x"); overtaking <- err }()
				<-gate.arrived
				if !looksFirst {
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
