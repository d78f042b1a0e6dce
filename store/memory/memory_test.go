package memory_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// A store that is full refuses, keeps what is alive, and takes new entries again when old ones are over.
func TestFull(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	s := memory.New(memory.Config{MaxEntries: 3, Clock: func() time.Time { return now }})
	create := func(n int) error {
		return s.Create(t.Context(), watchword.Entry{ID: fmt.Sprintf("group%d.x", n), Tries: 1,
			ExpiresAt: now.Add(time.Minute), KeepUntil: now.Add(time.Duration(n+1) * time.Minute)})
	}
	for n := range 3 {
		if err := create(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := create(3); !errors.Is(err, memory.ErrFull) {
		t.Fatalf("a fourth of three entries: %v", err)
	}
	for n := range 3 {
		if _, err := s.Get(t.Context(), fmt.Sprintf("group%d.x", n)); err != nil {
			t.Errorf("entry %d was lost to a full store: %v", n, err)
		}
	}
	now = now.Add(time.Minute) // the first entry is over, though it lies in another shard than the new one
	if err := create(4); err != nil {
		t.Errorf("no room though an entry is over: %v", err)
	}
	if err := create(5); !errors.Is(err, memory.ErrFull) {
		t.Errorf("one entry over made room for two: %v", err)
	}
}
