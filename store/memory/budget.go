package memory

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// A budget is the log of a group's charges, the oldest first, no longer than the largest limit needs.
type budget struct {
	key       string
	charges   []int64
	forgetAt  int64 // when the latest charge leaves the longest window
	heapIndex int32
}

// retryAfter returns for how long the limits refuse tries. A limit refuses while its Max-th most recent charge is younger than
// Per. A charge in the future (the clock was set back) counts as one of now. A nil budget has no charges.
func (b *budget) retryAfter(now int64, limits []watchword.Window) (longest time.Duration) {
	if b == nil {
		b = &budget{}
	}
	for _, w := range limits {
		if w.Max <= 0 {
			longest = max(longest, w.Per)
			continue
		}
		if len(b.charges) < w.Max {
			continue
		}
		age := time.Duration(max(now-b.charges[len(b.charges)-w.Max], 0))
		longest = max(longest, w.Per-age)
	}
	return longest
}

// charge adds a charge and drops those that no limit needs.
func (b *budget) charge(now int64, limits []watchword.Window) {
	most, longest := 1, time.Duration(0)
	for _, w := range limits {
		most, longest = max(most, w.Max), max(longest, w.Per)
	}
	if extra := len(b.charges) + 1 - most; extra > 0 {
		b.charges = b.charges[:copy(b.charges, b.charges[extra:])]
	}
	b.charges = append(b.charges, now)
	b.forgetAt = now + int64(longest)
}

func (b *budget) removalTime() int64   { return b.forgetAt }
func (b *budget) heapPosition() *int32 { return &b.heapIndex }
