package enginetest_test

import (
	"context"
	"errors"
	"testing"

	"github.com/watchword-auth/watchword"
)

// Two nodes are killed in turn, each at another step of opening the fallback. The outbox asks again, and it is opened once.
func TestFallbackIsOpenedOnceThoughNodesDie(t *testing.T) {
	t.Parallel()
	for _, steps := range [][]string{{"update", "create"}, {"create", "update"}, {"create", "create"}, {"update", "update"}} {
		onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
			k := newVerificationKit(t, outbox)
			v := k.startVerification(fallbackTo(mailMethod))
			sms := v.Challenge.ID
			k.isThere(v.ID)
			k.report(sms, watchword.Delivery{Status: watchword.DeliveryFailed, Provider: "p", Channel: "sms"})
			inner := k.store.Store
			for _, step := range steps {
				k.store.Store = &dyingStore{Store: inner, step: step}
				if err := askForFallback(k.newNode(), sms); err == nil || errors.Is(err, watchword.ErrClosed) {
					t.Logf("%s: %v", step, err) // the node did not come to this step
				}
			}
			k.store.Store = inner
			for range 2 {
				if err := k.askForFallback(sms); !errors.Is(err, watchword.ErrClosed) {
					t.Fatal(err)
				}
			}
			k.requireFallback(v.ID, true)
		})
	}
}

// A dyingStore fails at one step and at every later one, like a process that dies.
type dyingStore struct {
	watchword.Store
	step string
	dead bool
}

func (s *dyingStore) dies(step string) bool {
	s.dead = s.dead || step == s.step
	return s.dead
}

func (s *dyingStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if s.dies("create") {
		return errDied
	}
	return s.Store.Create(ctx, e, out...)
}

func (s *dyingStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	if s.dies("get") {
		return watchword.Entry{}, errDied
	}
	return s.Store.Get(ctx, id)
}

func (s *dyingStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if s.dies("update") {
		return errDied
	}
	return s.Store.Update(ctx, e, out...)
}
