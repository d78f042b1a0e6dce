package main

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Of several processes that find no key, one creates it and all use it.
func TestLoadOrCreateKeepsOneKeyOfConcurrentProcesses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	const processes = 50
	var read [processes]string
	var all sync.WaitGroup
	for i := range processes {
		all.Go(func() {
			if _, err := loadOrCreate(path, func() ([]byte, error) { return fmt.Appendf(nil, "key of process %d", i), nil }); err != nil {
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
	for i := range processes {
		if read[i] != read[0] || read[i] == "" {
			t.Fatalf("one process uses %q, another %q", read[0], read[i])
		}
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left instead of the key only: %v", len(left), err)
	}
}
