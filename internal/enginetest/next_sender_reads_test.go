package enginetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// An observedStore is the store of a routedKit that counts its calls, and can be unavailable for reads.
type observedStore struct {
	watchword.Store
	mu            sync.Mutex
	reads, writes int
	down          bool
}

func (s *observedStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	s.mu.Lock()
	s.reads++
	down := s.down
	s.mu.Unlock()
	if down {
		return watchword.Entry{}, errors.New("down")
	}
	return s.Store.Get(ctx, id)
}

func (s *observedStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	err := s.Store.Update(ctx, e, out...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	return err
}

// takeCounts waits for the write of the outcome, and returns the calls since the last time.
func (s *observedStore) takeCounts(t *testing.T) (reads, writes int) {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		if reads, writes = s.reads, s.writes; writes > 0 {
			s.reads, s.writes = 0, 0
			s.mu.Unlock()
			return reads, writes
		}
		s.mu.Unlock()
		if time.Now().After(until) {
			t.Fatal("no outcome was written")
		}
	}
}

// withoutTime lets the engine's clock stand still: on a busy machine what a start has just written could be a second old when it is sent,
// and is read then.
func withoutTime(c *watchword.Config) {
	began := time.Now()
	c.Clock = func() time.Time { return began }
}

// The challenge is read again only after a call has failed: not for the first sender, nor for the next one if the first was skipped.
func TestWantedMessageIsReadAgainOnlyAfterAFailedCall(t *testing.T) {
	t.Parallel()
	store := &observedStore{}
	k := newRoutedKit(t, delivery.NewQueue(10, nil), func(c *watchword.Config) { store.Store, c.Store = c.Store, store }, withoutTime)
	for i, c := range []struct {
		name    string
		skipped bool
		failure error
		reads   int
	}{
		{"the first sender accepts", false, nil, 0},
		{"it refuses", false, errRefused, 1}, {"it refuses", false, errRefused, 1}, {"it refuses", false, errRefused, 1}, // three recipients
		{"it is skipped", true, nil, 0},
	} {
		req := startByEmail()
		req.To = string(rune('a'+i)) + "@example.com"
		k.start(req)
		if !c.skipped {
			k.held.receive(t)
			k.held.fail <- c.failure
		}
		if reads, writes := store.takeCounts(t); reads != c.reads+1 || writes != 1 { // the outcome of the send is one read and one write
			t.Errorf("%s: %d reads and %d writes, want %d and 1", c.name, reads, writes, c.reads+1)
		}
	}
}

// If it is unknown whether a message is still wanted, it waits for the next round.
func TestMessageWaitsWhileItIsUnknownWhetherItIsWanted(t *testing.T) {
	t.Parallel()
	store := &observedStore{}
	k := newRoutedKit(t, delivery.NewQueue(10, nil), func(c *watchword.Config) { store.Store, c.Store = c.Store, store }, withoutTime)
	id := k.start(startByEmail()).ID
	k.held.receive(t)
	setDown := func(down bool) {
		store.mu.Lock()
		defer store.mu.Unlock()
		store.down, store.reads = down, 0
	}
	setDown(true)
	k.held.fail <- errRefused
	for until := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		store.mu.Lock()
		asked := store.reads > 0
		store.mu.Unlock()
		if asked {
			break
		}
		if time.Now().After(until) {
			t.Fatal("the challenge is not read again")
		}
	}
	setDown(false)
	k.held.receive(t) // the next round, which the first sender accepts
	k.stop()
	if second := k.second.sends(id); len(second) != 0 {
		t.Errorf("the second sender has got the sends %v", second)
	}
}
