package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Of any number of processes that find no key, one makes it and all use that one.
func TestLoadOrCreateKeepsOneKeyOfConcurrentProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	const racers = 50
	var read [racers]string
	var all sync.WaitGroup
	for i := range racers {
		all.Go(func() {
			if _, err := loadOrCreate(path, func() ([]byte, error) { return fmt.Appendf(nil, "key of racer %d", i), nil }); err != nil {
				t.Error(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Error(err)
			}
			read[i] = string(text)
		})
	}
	all.Wait()
	for i := range racers {
		if read[i] != read[0] || read[i] == "" {
			t.Fatalf("one racer uses %q, another %q", read[0], read[i])
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, not the key alone: %v", len(left), err)
	}
}
