package webauthn

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
)

// Of two subjects who register one key at once exactly one has it.
func TestRegisteredInARace(t *testing.T) {
	k := newKit(t)
	nodes := []*watchword.Engine{k.node(), k.node()}
	for range 20 {
		d := newDevice(t)
		const racers = 8
		answers := make([]asked, racers)
		texts := make([]string, racers)
		for i := range answers {
			answers[i] = k.ask(watchword.PurposeEnrol, "racer_"+string(rune('a'+i)))
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
				t.Fatal("two have registered one key")
			case !errors.Is(err, watchword.ErrIncorrectAnswer):
				t.Fatalf("the loser is told %v", err)
			}
		}
		if won < 0 {
			t.Fatal("nobody has registered the key")
		}
		d.handle = k.strategy.handle("shop", answers[won].subject)
		k.mustSignIn("sign_in", answers[won].subject, d)
	}
}

// Of one right answer that comes in many times at once exactly one wins.
func TestAnsweredInARace(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	for range 20 {
		a := k.ask("sign_in", "user_42")
		right := d.get(a.options)
		won := 0
		for _, err := range race(8, func(int) error { _, err := k.answer(a, right); return err }) {
			switch {
			case err == nil:
				won++
			case !errors.Is(err, watchword.ErrChallengeApproved) && !errors.Is(err, watchword.ErrAttemptsExhausted):
				t.Fatalf("a loser is told %v", err)
			}
		}
		if won != 1 {
			t.Fatalf("%d have won", won)
		}
	}
}

// Assertions by one key that come in at once, for challenges of their own, spend the counter one after the other.
func TestCounterInARace(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) { c.Counter = Reject })
	d := newDevice(t)
	k.enrol("user_42", d)
	const racers = 4
	challenges := make([]asked, racers)
	texts := make([]string, racers)
	for i := range texts {
		challenges[i] = k.ask("sign_in", "user_42")
		texts[i] = d.get(challenges[i].options, func(c *ceremony) { c.counter = 77 })
	}
	won := 0
	for _, err := range race(racers, func(i int) error { _, err := k.answer(challenges[i], texts[i]); return err }) {
		if err == nil {
			won++
		} else if !errors.Is(err, watchword.ErrIncorrectAnswer) && !errors.Is(err, watchword.ErrUnavailable) {
			t.Errorf("a loser is told %v", err)
		}
	}
	if won != 1 {
		t.Errorf("%d assertions with one counter are accepted", won)
	}
}

// race runs n at once.
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
