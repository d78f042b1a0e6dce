package delivery

import (
	"context"
	"sync"
	"time"
)

// MemoryCounters implement Counters in the memory of one process.
type MemoryCounters struct {
	now func() time.Time

	mu   sync.Mutex
	apps map[string]*appCounts
}

var _ Counters = (*MemoryCounters)(nil)

// appCounts are the counts of one app.
type appCounts struct {
	keys     map[string]*keyCounts
	refused  map[string]time.Time // until when
	batchIDs map[string]time.Time // of batches, and until when they are remembered
}

type keyCounts struct {
	slots map[int64]*Count
	until time.Time
}

// NewMemoryCounters returns empty counters. A nil clock means time.Now.
func NewMemoryCounters(now func() time.Time) *MemoryCounters {
	if now == nil {
		now = time.Now
	}
	return &MemoryCounters{now: now, apps: map[string]*appCounts{}}
}

// countsOf removes what has expired and returns an app's counts. The caller holds the lock.
func (m *MemoryCounters) countsOf(name string) *appCounts {
	a := m.apps[name]
	if a == nil {
		a = &appCounts{keys: map[string]*keyCounts{}, refused: map[string]time.Time{}, batchIDs: map[string]time.Time{}}
		m.apps[name] = a
	}
	now := m.now()
	for key, k := range a.keys {
		if !now.Before(k.until) {
			delete(a.keys, key)
		}
	}
	deleteExpired(a.refused, now)
	deleteExpired(a.batchIDs, now)
	return a
}

func deleteExpired(m map[string]time.Time, now time.Time) {
	for key, until := range m {
		if !now.Before(until) {
			delete(m, key)
		}
	}
}

// Add implements Counters. It cannot fail.
func (m *MemoryCounters) Add(_ context.Context, app string, b Batch) ([]Count, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, now := m.countsOf(app), m.now()
	_, repeated := a.batchIDs[b.ID]
	a.batchIDs[b.ID] = now.Add(BatchIDLifetime)
	keys := map[string]bool{}
	for _, c := range b.Counts {
		keys[c.Key] = true
		if !repeated && c.Slot >= b.Oldest && c.Sent+c.Verified > 0 {
			a.add(c, now.Add(b.Keep))
		}
	}
	var out []Count
	for key := range keys {
		if k := a.keys[key]; k != nil {
			out = k.appendSince(b.Oldest, out)
		}
	}
	return out, nil
}

func (a *appCounts) add(c Count, until time.Time) {
	k := a.keys[c.Key]
	if k == nil {
		if len(a.keys) >= MaxCounterKeys {
			return
		}
		k = &keyCounts{slots: map[int64]*Count{}}
		a.keys[c.Key] = k
	}
	k.until = until
	if sum := k.slots[c.Slot]; sum != nil {
		sum.Sent, sum.Verified = sum.Sent+c.Sent, sum.Verified+c.Verified
		return
	}
	k.slots[c.Slot] = &c
}

// appendSince appends the counts of the oldest slot and later ones to out, and removes older ones.
func (k *keyCounts) appendSince(oldest int64, out []Count) []Count {
	for slot, c := range k.slots {
		if slot < oldest {
			delete(k.slots, slot)
			continue
		}
		out = append(out, *c)
	}
	return out
}

// Refuse implements Counters. It cannot fail.
func (m *MemoryCounters) Refuse(_ context.Context, app, key string, d time.Duration) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.countsOf(app)
	if _, refused := a.refused[key]; refused || len(a.refused) >= MaxCounterKeys {
		return false, nil
	}
	a.refused[key] = m.now().Add(d)
	delete(a.keys, key)
	return true, nil
}

// Refused implements Counters. It cannot fail.
func (m *MemoryCounters) Refused(_ context.Context, app string) (map[string]time.Duration, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out, now := map[string]time.Duration{}, m.now()
	for key, until := range m.countsOf(app).refused {
		out[key] = until.Sub(now)
	}
	return out, nil
}
