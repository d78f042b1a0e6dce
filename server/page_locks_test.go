package server

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
)

// Requests of one page are served one after another. A request that gives up lets the others go on, and nothing is kept of pages that
// nobody asks for.
func TestPageLocksAdmitOneRequestOfEachPage(t *testing.T) {
	var locks pageLocks
	page, other := pageKey{"vf_1", "secret"}, pageKey{"vf_1", "guessed"}
	var reading, most atomic.Int32
	var requests sync.WaitGroup
	_, unlock := locks.lock(t.Context(), page)
	if locked, unlockOther := locks.lock(t.Context(), other); !locked {
		t.Error("a page waits for another one")
	} else {
		unlockOther()
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if locked, leave := locks.lock(gone, page); locked {
		t.Error("two requests read a page")
	} else {
		leave()
	}
	for range 50 {
		requests.Go(func() {
			locked, unlock := locks.lock(t.Context(), page)
			defer unlock()
			if n := reading.Add(1); !locked || n > 1 {
				most.Store(n)
			}
			reading.Add(-1)
		})
	}
	unlock()
	requests.Wait()
	if n := most.Load(); n != 0 {
		t.Errorf("%d requests read a page at the same time", n)
	}
	if len(locks.pages) != 0 {
		t.Errorf("%d pages are kept", len(locks.pages))
	}
}
