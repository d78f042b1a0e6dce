package webauthn

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A check of a verification by a passkey takes three calls of the store, each of which is one command: the challenge is closed after the
// answer. A right answer is right once, also while the challenge is still open.
func TestCheckOfAVerificationByAPasskeyTakesThreeCommands(t *testing.T) {
	store := &countingStore{gate: make(chan struct{}), closed: make(chan struct{})}
	k := newKit(t, func(_ *Config, c *watchword.Config) {
		store.Store = c.Store
		c.Store = store
	})
	d := newDevice(t)
	k.enrol("user_42", d)
	v, err := k.StartVerification(t.Context(), watchword.VerificationRequest{Purpose: "sign_in", Subject: "user_42",
		Methods: []watchword.MethodRequest{{Strategy: "webauthn"}}})
	if err != nil {
		t.Fatal(err)
	}
	answer := d.get(encodeOptions(t, v.Challenge.Public))
	check := func(e *watchword.Engine) error {
		_, err := e.CheckVerification(context.Background(), v.ID, watchword.VerificationCheck{CheckRequest: watchword.CheckRequest{Purpose: "sign_in",
			Subject: "user_42", Answer: watchword.Answer{Text: answer, Object: true}}})
		return err
	}
	store.calls.Store(0)
	store.held.Store(true)
	if err := check(k.Engine); err != nil {
		t.Fatal(err)
	}
	if n := store.calls.Load(); n != 3 {
		t.Errorf("%d commands", n)
	}
	other := k.newNode()
	for _, e := range []*watchword.Engine{k.Engine, other} {
		if err := check(e); !errors.Is(err, watchword.ErrChallengeApproved) {
			t.Errorf("the same answer again: %v", err)
		}
	}
	if view, err := other.Status(t.Context(), v.Challenge.ID); err != nil || view.Status != watchword.Approved {
		t.Errorf("the open challenge is %s, %v", view.Status, err)
	}
	close(store.gate)
	select {
	case <-store.closed:
	case <-time.After(10 * time.Second):
		t.Error("the challenge is not closed")
	}
}

// A countingStore counts calls. It holds the closing of an approved challenge until the gate is closed.
type countingStore struct {
	watchword.Store
	calls  atomic.Int32
	held   atomic.Bool
	gate   chan struct{}
	closed chan struct{}
}

func (s *countingStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	s.calls.Add(1)
	return s.Store.Get(ctx, id)
}

func (s *countingStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	s.calls.Add(1)
	return s.Store.Attempt(ctx, id, g, b)
}

func (s *countingStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.calls.Add(1)
	return s.Store.Update(ctx, e, out...)
}

func (s *countingStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	held := s.held.Load() && c.State == watchword.StateApproved
	if held {
		<-s.gate
		ctx = context.WithoutCancel(ctx)
	}
	s.calls.Add(1)
	err := s.Store.Close(ctx, id, c)
	if held && err == nil {
		close(s.closed)
	}
	return err
}
