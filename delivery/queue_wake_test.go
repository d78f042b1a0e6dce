package delivery

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
)

// Messages that are put while Claims begin to wait may wake only one of them. Each Claim that leaves messages wakes another.
func TestQueueClaimWakesAnotherForMessagesThatItLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 4
		q := NewQueue(n, nil)
		var claimed atomic.Int64
		for range n {
			go func() {
				out, err := q.Claim(t.Context(), 1)
				if err == nil {
					claimed.Add(int64(len(out)))
				}
			}()
		}
		synctest.Wait() // until all wait
		q.mu.Lock()
		for range n {
			q.ready.add(watchword.Outgoing{}, time.Now())
		}
		q.wakeClaim()
		q.mu.Unlock()
		synctest.Wait()
		if got := claimed.Load(); got != n {
			t.Errorf("%d of %d messages were claimed", got, n)
		}
	})
}
