package redis

import (
	"sync"
	"time"
)

// backlogs are what waits in each partition, as this process has seen it last. They are safe for concurrent use.
type backlogs struct {
	mu         sync.Mutex
	partitions []backlog
}

// A backlog is what waits in one partition.
type backlog struct {
	due, later int
	oldest     time.Time // zero: nothing is due
}

func (b *backlogs) set(partition int, reply claimReply) {
	found := backlog{due: reply.due, later: reply.later}
	if reply.oldest >= 0 {
		found.oldest = time.Now().Add(-reply.oldest)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.partitions[partition] = found
}

// Backlog returns how many messages of the app are due, those that are being sent included, and how many are due later; and since when
// the oldest one of the first has been due, by the clock of this process. It is zero if none is due. What a process sends without
// asking Redis counts as due later until it is sent. All processes that share the Outbox see the same messages.
//
// It asks Redis for nothing. The numbers are those of the last question of Claim: about a second old, and on a Cluster up to seven.
func (o *Outbox) Backlog() (due, later int, oldest time.Time) {
	o.backlogs.mu.Lock()
	defer o.backlogs.mu.Unlock()
	for _, b := range o.backlogs.partitions {
		due, later = due+b.due, later+b.later
		if oldest.IsZero() || !b.oldest.IsZero() && b.oldest.Before(oldest) {
			oldest = b.oldest
		}
	}
	return due, later, oldest
}
