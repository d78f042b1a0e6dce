package tombstones_test

import (
	"encoding/binary"
	"testing"

	"github.com/watchword-auth/watchword/internal/tombstones"
)

func TestAddKeepsTheFirstEnding(t *testing.T) {
	s := tombstones.New[string]()
	id := [16]byte{1}
	if !s.Add(id, 'c', "approved") || s.Add(id, 'c', "canceled") || !s.Add(id, 'r', "collected") {
		t.Error("an ending was added twice, or not at all")
	}
	if got, ok := s.Find(id, 'c'); !ok || got != "approved" {
		t.Errorf("found %q, %t", got, ok)
	}
	if _, ok := s.Find([16]byte{2}, 'c'); ok {
		t.Error("something else has ended")
	}
}

func TestSetIsBoundedAndDropsTheOldest(t *testing.T) {
	s := tombstones.New[int]()
	id := func(n int) (out [16]byte) {
		binary.BigEndian.PutUint64(out[:], uint64(n))
		return out
	}
	const many = 3 << 16
	for n := range many {
		s.Add(id(n), 'c', n%7)
	}
	if _, ok := s.Find(id(0), 'c'); ok {
		t.Error("the oldest is still there")
	}
	for _, n := range []int{many - 1, many - 1<<16} {
		if got, ok := s.Find(id(n), 'c'); !ok || got != n%7 {
			t.Errorf("%d is found as %d, %t", n, got, ok)
		}
	}
}
