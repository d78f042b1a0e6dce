package webauthn

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// Several subjects register the same key concurrently, on two nodes.
func TestConcurrentRegistrationsOfOneKeyCreateOneFactor(t *testing.T) {
	k := newKit(t)
	nodes := []*watchword.Engine{k.newNode(), k.newNode()}
	for range 20 {
		d := newDevice(t)
		const racers = 8
		answers := make([]startedChallenge, racers)
		texts := make([]string, racers)
		for i := range answers {
			answers[i] = k.startChallenge(watchword.PurposeEnrol, "racer_"+string(rune('a'+i)))
			texts[i] = d.create(answers[i].options)
		}
		errs := race(racers, func(i int) error {
			_, err := nodes[i%2].Check(context.Background(), answers[i].id, watchword.CheckRequest{Purpose: watchword.PurposeEnrol,
				Subject: answers[i].subject, Answer: watchword.Answer{Text: texts[i], Object: true}})
			return err
		})
		won := -1
		for i, err := range errs {
			switch {
			case err == nil && won < 0:
				won = i
			case err == nil:
				t.Fatal("two registrations of one key succeeded")
			case !errors.Is(err, watchword.ErrIncorrectAnswer):
				t.Fatalf("a refused registration returns %v", err)
			}
		}
		if won < 0 {
			t.Fatal("no registration succeeded")
		}
		d.handle = k.strategy.userHandle("shop", answers[won].subject)
		k.mustSignIn("sign_in", answers[won].subject, d)
	}
}

// Copies of a right answer arrive concurrently at two nodes: one is approved, the others get ErrChallengeApproved. This
// holds with and without a subject, and for registrations.
func TestConcurrentIdenticalAnswersApproveOnce(t *testing.T) {
	for name, open := range map[string]func() watchword.Factors{
		"memory": func() watchword.Factors { return &memory.Factors{} },
		"sqlite": func() watchword.Factors {
			f, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "watchword.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = f.Close() })
			return f
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, func(_ *Config, c *watchword.Config) { c.Factors = open() })
			nodes := []*watchword.Engine{k.newNode(), k.newNode()}
			d := newDevice(t)
			k.enrol("user_42", d)
			for round := range 20 {
				copies := []int{2, 3, 5, 10, 40}[round%5]
				a := k.startChallenge("sign_in", []string{"user_42", ""}[round/5%2])
				wantOneApproval(t, nodes, a, copies, d.get(a.options))
				fresh := newDevice(t)
				a = k.startChallenge(watchword.PurposeEnrol, fmt.Sprint("newcomer ", round))
				wantOneApproval(t, nodes, a, copies, fresh.create(a.options))
			}
		})
	}
}

func wantOneApproval(t *testing.T, nodes []*watchword.Engine, a startedChallenge, copies int, answer string) {
	t.Helper()
	won := 0
	for _, err := range race(copies, func(i int) error {
		_, err := nodes[i%2].Check(context.Background(), a.id, watchword.CheckRequest{Purpose: a.purpose, Subject: a.subject,
			Answer: watchword.Answer{Text: answer, Object: true}})
		return err
	}) {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, watchword.ErrChallengeApproved):
			t.Errorf("%s of %q, %d copies: a copy gets %v", a.purpose, a.subject, copies, err)
		}
	}
	if won != 1 {
		t.Errorf("%s of %q, %d copies: %d have won", a.purpose, a.subject, copies, won)
	}
}

// failingCloseStore is a store whose Close fails, as if the process had crashed.
type failingCloseStore struct{ watchword.Store }

func (failingCloseStore) Close(context.Context, string, watchword.Closing) error {
	return errors.New("the process died")
}

// The process crashes after storing the counter or the new key, and before closing the challenge. The same answer is then
// accepted, although its only try is used.
func TestRepeatedAnswerApprovesAfterCrash(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	config := k.config
	config.Store = failingCloseStore{config.Store}
	dead, err := watchword.New(config)
	if err != nil {
		t.Fatal(err)
	}
	check := func(e *watchword.Engine, a startedChallenge, answer string) error {
		_, err := e.Check(context.Background(), a.id, watchword.CheckRequest{Purpose: a.purpose, Subject: a.subject,
			Answer: watchword.Answer{Text: answer, Object: true}})
		return err
	}
	fresh := newDevice(t)
	signIn, withoutSubject, enrolment := k.startChallenge("sign_in", "user_42"), k.startChallenge("sign_in", ""), k.startChallenge(watchword.PurposeEnrol, "user_43")
	for a, answer := range map[*startedChallenge]string{&signIn: d.get(signIn.options), &withoutSubject: d.get(withoutSubject.options), &enrolment: fresh.create(enrolment.options)} {
		if err := check(dead, *a, answer); !errors.Is(err, watchword.ErrUnavailable) {
			t.Fatalf("%s of %q: %v", a.purpose, a.subject, err)
		}
		if err := check(k.Engine, *a, answer); err != nil {
			t.Errorf("%s of %q, again: %v", a.purpose, a.subject, err)
		}
		if err := check(k.Engine, *a, answer); !errors.Is(err, watchword.ErrChallengeApproved) {
			t.Errorf("%s of %q, once more: %v", a.purpose, a.subject, err)
		}
	}
}

// Assertions of one key with the same counter, for different challenges.
func TestConcurrentAssertionsSpendTheCounterOnce(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) { c.Counter = Reject })
	d := newDevice(t)
	k.enrol("user_42", d)
	const racers = 4
	challenges := make([]startedChallenge, racers)
	texts := make([]string, racers)
	for i := range texts {
		challenges[i] = k.startChallenge("sign_in", "user_42")
		texts[i] = d.get(challenges[i].options, func(c *ceremony) { c.counter = 77 })
	}
	won := 0
	for _, err := range race(racers, func(i int) error { _, err := k.answer(challenges[i], texts[i]); return err }) {
		if err == nil {
			won++
		} else if !errors.Is(err, watchword.ErrIncorrectAnswer) && !errors.Is(err, watchword.ErrUnavailable) {
			t.Errorf("a refused assertion returns %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d assertions with one counter are accepted", won)
	}
}

// race calls run n times concurrently.
func race(n int, run func(i int) error) []error {
	errs := make([]error, n)
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			errs[i] = run(i)
		})
	}
	close(start)
	all.Wait()
	return errs
}
