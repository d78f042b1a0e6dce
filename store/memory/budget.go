package memory

import (
	"time"

	"github.com/watchword-auth/watchword"
)

// A budget is the log of one group's charges, the oldest first, as long as its largest limit needs it.
type budget struct {
	key       string
	charges   []int64
	forgetAt  int64 // when the longest window counts the latest charge no more
	heapIndex int32
}

// retryAfter says for how long the limits refuse: a limit does while its Max-th most recent charge is younger than Per. A
// charge from a clock that was ahead counts as one from now. A nil budget has no charges.
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

// charge logs one unit and drops what no limit looks at.
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
