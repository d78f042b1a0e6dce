package watchword

import "sync"

// tombstones is what this process saw end. The store decides who wins; memory is there for a store that forgets: after a
// failover that lost the last write, or when somebody restores an old copy of an entry, what ended here stays ended here.
// It is bounded, two generations of entries, the older of which goes when the younger is full.
type tombstones struct {
	mu       sync.Mutex
	now, old map[ending]Status
}

// ending names what ended: a challenge, the collection of its receipt, or the receipt's redemption.
type ending struct {
	challenge [randomSize]byte
	what      byte
}

const (
	endChallenge = 'c'
	endCollected = 'r'
	endRedeemed  = 's'
	endUnopened  = 'o' // that nobody had opened the link: told once

	generationSize = 1 << 16
)

func newTombstones() *tombstones { return &tombstones{now: map[ending]Status{}} }

// end remembers, and reports whether this is the first time.
func (m *tombstones) end(challenge [randomSize]byte, what byte, s Status) (first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := ending{challenge, what}
	if _, ok := m.lookUp(key); ok {
		return false
	}
	if len(m.now) >= generationSize {
		m.old, m.now = m.now, make(map[ending]Status, generationSize)
	}
	m.now[key] = s
	return true
}

// find returns how a challenge ended here.
func (m *tombstones) find(challenge [randomSize]byte) (Status, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lookUp(ending{challenge, endChallenge})
}

func (m *tombstones) lookUp(key ending) (Status, bool) {
	if s, ok := m.now[key]; ok {
		return s, true
	}
	s, ok := m.old[key]
	return s, ok
}
