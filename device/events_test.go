package device_test

import (
	"context"
	"sync"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// An eventStore is a store that queues events too. It records what is queued when an entry is created.
type eventStore struct {
	watchword.Store
	watchword.Outbox
	mu     sync.Mutex
	queued []watchword.Outgoing
}

func (s *eventStore) Events() watchword.Outbox { return s.Outbox }

func (s *eventStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queued = append(s.queued, out...)
	return s.Store.Create(ctx, e)
}

// A start that a trusted device answers queues its start and its approval in one step, and no expiry.
func TestStartAnsweredByDeviceQueuesItsEvents(t *testing.T) {
	k := newKit(t, "shop", &memory.Factors{})
	token := k.remember(ann)
	store := &eventStore{Store: k.config.Store, Outbox: k.outbox}
	e := k.newNode(func(c *watchword.Config) {
		c.Store, c.Outbox, c.Subscribed = store, nil, func(string) bool { return true }
	})
	req := request(ann)
	req.DeviceToken = token
	s, err := e.StartVerification(t.Context(), req)
	if err != nil || s.Approved == nil {
		t.Fatalf("%+v, %v", s, err)
	}
	var got []string
	for _, o := range store.queued {
		if o.ChallengeID != s.ID {
			continue
		}
		events, err := e.ComposeEvents(t.Context(), o.IDs())
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			got = append(got, ev.Type+" "+ev.ChallengeID+" "+ev.Subject)
		}
	}
	want := []string{watchword.EventVerificationStarted + "  " + ann, watchword.EventVerificationApproved + " " + s.Approved.Claims.ID + " " + ann}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("events %q, want %q", got, want)
	}
}
