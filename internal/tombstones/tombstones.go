// Package tombstones remembers in the process what has ended. A store decides which answer wins; tombstones are for a store
// that forgets: after a failover that lost the last write, or when an old copy of an entry is restored, what ended here stays
// ended here.
package tombstones

import "sync"

// A Set holds tombstones, each with how its thing ended. It is bounded to two generations, the older of which is dropped
// when the younger is full, and safe for concurrent use.
type Set[Ending any] struct {
	mu               sync.Mutex
	current, earlier map[key]Ending
}

// A key names what ended: a thing by its id, and what of it.
type key struct {
	id   [16]byte
	what byte
}

const generationSize = 1 << 16

// New returns an empty set.
func New[Ending any]() *Set[Ending] { return &Set[Ending]{current: map[key]Ending{}} }

// Add keeps how something ended unless it is there already, and reports whether it was added.
func (s *Set[Ending]) Add(id [16]byte, what byte, ending Ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{id, what}
	if _, ok := s.find(k); ok {
		return false
	}
	if len(s.current) >= generationSize {
		s.earlier, s.current = s.current, make(map[key]Ending, generationSize)
	}
	s.current[k] = ending
	return true
}

// Find returns how something ended, if that is known.
func (s *Set[Ending]) Find(id [16]byte, what byte) (Ending, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(key{id, what})
}

func (s *Set[Ending]) find(k key) (Ending, bool) {
	if ending, ok := s.current[k]; ok {
		return ending, true
	}
	ending, ok := s.earlier[k]
	return ending, ok
}
