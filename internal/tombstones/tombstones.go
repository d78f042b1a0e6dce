// Package tombstones records in this process what has ended. The store decides which answer is approved. Tombstones protect
// against a store that loses a write in a failover, or that is restored from an older copy: what has ended in this process is
// not opened again here.
package tombstones

import "sync"

// A Set holds tombstones, each with an ending. It has two generations of 65,536 tombstones at most; the older one is dropped
// when the younger one is full. It is safe for concurrent use.
type Set[Ending any] struct {
	mu               sync.Mutex
	current, earlier map[key]Ending
}

// A key is the id of something, and the part of it that ended.
type key struct {
	id   [16]byte
	part byte
}

const generationSize = 1 << 16

// New returns an empty set.
func New[Ending any]() *Set[Ending] { return &Set[Ending]{current: map[key]Ending{}} }

// Add records how the part of an id ended, unless that is recorded already, and reports whether it was added.
func (s *Set[Ending]) Add(id [16]byte, part byte, ending Ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{id, part}
	if _, ok := s.find(k); ok {
		return false
	}
	if len(s.current) >= generationSize {
		s.earlier, s.current = s.current, make(map[key]Ending, generationSize)
	}
	s.current[k] = ending
	return true
}

// Find returns the recorded ending, if there is one.
func (s *Set[Ending]) Find(id [16]byte, part byte) (Ending, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(key{id, part})
}

func (s *Set[Ending]) find(k key) (Ending, bool) {
	if ending, ok := s.current[k]; ok {
		return ending, true
	}
	ending, ok := s.earlier[k]
	return ending, ok
}
