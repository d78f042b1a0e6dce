// Package tombstones records in this process what has ended. The store decides which answer is approved. Tombstones protect
// against a store that loses a write in a failover, or that is restored from an older copy: what has ended in this process is
// not opened again here.
package tombstones

import (
	"math"
	"slices"
	"sync"
)

// A Set holds tombstones, each with an ending, of which there are at most 256 different ones. It has two generations of 65,536
// tombstones at most; the older one is dropped when the younger one is full. It is safe for concurrent use.
type Set[Ending comparable] struct {
	mu               sync.Mutex
	endings          []Ending
	current, earlier map[key]uint8 // index in endings: half the memory of the endings themselves, and no pointers
}

// A key is the id of something, and the part of it that ended.
type key struct {
	id   [16]byte
	part byte
}

const generationSize = 1 << 16

// New returns an empty set.
func New[Ending comparable]() *Set[Ending] { return &Set[Ending]{current: map[key]uint8{}} }

// Add records how the part of an id ended, unless that is recorded already, and reports whether it was added.
func (s *Set[Ending]) Add(id [16]byte, part byte, ending Ending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := key{id, part}
	if _, ok := s.find(k); ok {
		return false
	}
	if len(s.current) >= generationSize {
		s.earlier, s.current = s.current, make(map[key]uint8, generationSize)
	}
	s.current[k] = s.indexOf(ending)
	return true
}

// indexOf returns the index of an ending, and adds it if it is new.
func (s *Set[Ending]) indexOf(ending Ending) uint8 {
	n := slices.Index(s.endings, ending)
	if n < 0 {
		n = len(s.endings)
		s.endings = append(s.endings, ending)
	}
	if n > math.MaxUint8 {
		panic("tombstones: more than 256 different endings")
	}
	return uint8(n)
}

// Find returns the recorded ending, if there is one.
func (s *Set[Ending]) Find(id [16]byte, part byte) (Ending, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.find(key{id, part})
}

func (s *Set[Ending]) find(k key) (ending Ending, ok bool) {
	n, ok := s.current[k]
	if !ok {
		n, ok = s.earlier[k]
	}
	if ok {
		ending = s.endings[n]
	}
	return ending, ok
}
