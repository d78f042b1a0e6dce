package enginetest_test

import (
	"context"
	"sync"

	"github.com/watchword-auth/watchword"
)

// controlledStore is a store that can be unavailable and whose entries a test can replace, like an attacker with write access
// but without a key.
type controlledStore struct {
	watchword.Store
	mu        sync.Mutex
	failure   error
	onAttempt func(id string, guesses []watchword.Guess)       // observes each Attempt, like the MONITOR command of Redis
	replaced  map[string]func(watchword.Entry) watchword.Entry // what Get and Attempt return for an entry
}

func (m *controlledStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if m.failure != nil {
		return m.failure
	}
	return m.Store.Create(ctx, e, out...)
}

func (m *controlledStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if m.failure != nil {
		return m.failure
	}
	return m.Store.Update(ctx, e, out...)
}

func (m *controlledStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	if m.failure != nil {
		return watchword.Entry{}, m.failure
	}
	m.mu.Lock()
	swap := m.replaced[id]
	m.mu.Unlock()
	e, err := m.Store.Get(ctx, id)
	if swap != nil {
		return swap(e), nil
	}
	return e, err
}

func (m *controlledStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	if m.failure != nil {
		return watchword.Entry{}, m.failure
	}
	if m.onAttempt != nil {
		m.onAttempt(id, g)
	}
	m.mu.Lock()
	swap := m.replaced[id]
	m.mu.Unlock()
	e, err := m.Store.Attempt(ctx, id, g, b)
	if swap != nil {
		return swap(e), nil
	}
	return e, err
}

// replaceEntry makes the store return an entry that the attacker has changed.
func (m *controlledStore) replaceEntry(id string, with func(watchword.Entry) watchword.Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.replaced == nil {
		m.replaced = map[string]func(watchword.Entry) watchword.Entry{}
	}
	m.replaced[id] = with
}

// recordingStore records the entries that are created.
type recordingStore struct {
	watchword.Store
	mu      sync.Mutex
	created []watchword.Entry
}

func (s *recordingStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	s.mu.Lock()
	s.created = append(s.created, e)
	s.mu.Unlock()
	return s.Store.Create(ctx, e, out...)
}

// updateHookStore calls run before its next Update.
type updateHookStore struct {
	watchword.Store
	run func()
}

func (b *updateHookStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if f := b.run; f != nil {
		b.run = nil
		f()
	}
	return b.Store.Update(ctx, e, out...)
}

func (k *kit) beforeUpdate(run func()) { k.store.Store = &updateHookStore{k.store.Store, run} }
