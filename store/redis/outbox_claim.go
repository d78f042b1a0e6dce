package redis

import (
	"context"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/script"
)

const (
	pollInterval       = time.Second            // a single partition is asked at least that often
	pollSpacing        = 100 * time.Millisecond // of many partitions one is asked at least that often
	pollAfterFailure   = 5 * time.Second        // of the partitions that could not be asked one is asked that often, in turn
	deadConsumerChecks = time.Minute            // between two
	deadConsumerIdle   = 10 * time.Minute       // a consumer that has asked for nothing so long, and has claimed nothing, is removed
)

// Claim implements watchword.Outbox by claim.lua. If Redis is unavailable for every partition, it returns the error.
func (q *queue) Claim(ctx context.Context, limit int) ([]watchword.Outgoing, error) {
	q.claimed.Store(true)
	select {
	case q.turn <- struct{}{}:
		defer func() { <-q.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	for {
		out, rest := q.direct.begin(limit)
		if len(out) > 0 {
			return out, nil
		}
		if ctx.Err() != nil {
			q.direct.close()
			return nil, ctx.Err()
		}
		p, wait := q.polls.next(time.Now())
		if wait > 0 || rest <= 0 {
			if rest <= 0 { // messages that are being queued fill the limit
				wait = pollInterval
			}
			q.polls.sleep(ctx, wait)
			continue
		}
		out, err := q.claimFrom(ctx, p, rest)
		q.direct.end(len(out))
		if err != nil && q.polls.failed(p) {
			return nil, err
		}
		if len(out) > 0 {
			return out, nil
		}
	}
}

// HasWorker implements watchword.WorkerReporter: it reports whether a worker of this process has called Claim.
func (q *queue) HasWorker() bool { return q.claimed.Load() }

// claimFrom claims elements of one partition. It is not interrupted, so that nothing is claimed that nobody knows of.
func (q *queue) claimFrom(ctx context.Context, p, limit int) ([]watchword.Outgoing, error) {
	question := q.polls.begin(p)
	question.limit = limit
	reply, err := q.runClaim(context.WithoutCancel(ctx), q.keys[p], q.consumer, question)
	if err != nil {
		return nil, err
	}
	if question.lease > 0 {
		q.backlogs.set(p, reply)
	}
	entries, complete := q.held.add(p, question, reply.entries)
	q.polls.end(p, reply.nextDue, reply.more || !complete, complete)
	var out []watchword.Outgoing
	for _, entry := range entries {
		one, err := decodeElement(entry.element)
		if err != nil {
			reply.dead++ // the script lets no such element pass
			continue
		}
		if own, ok := q.local.take(entry.element); ok {
			one = own
		}
		one.Claim = formatClaim(p, entry.id)
		out = append(out, one)
	}
	if reply.dead > 0 {
		q.deadLetters(reply.dead)
	}
	return out, nil
}

// A claimQuestion is what claim.lua is asked.
type claimQuestion struct {
	limit        int
	lease        time.Duration // if set, elements of dead processes are claimed too
	consumerIdle time.Duration // if set, dead consumers are removed
	again        bool          // what this process has claimed is returned once more
}

// A claimReply is the reply of claim.lua.
type claimReply struct {
	nextDue time.Duration // until the next element of the sorted set is due; negative: there is none
	dead    int           // elements that became dead letters
	more    bool          // there may be more elements
	due     int           // elements of the stream, those that are being sent included; with a lease only
	later   int           // elements of the sorted set; with a lease only
	oldest  time.Duration // since the oldest element of the stream was due; negative: unknown
	entries []claimedEntry
}

type claimedEntry struct{ id, element string }

// claimHead is the number of integers at the beginning of a reply of claim.lua.
const claimHead = 6

// runClaim runs claim.lua.
func (q *queue) runClaim(ctx context.Context, keys []string, consumer string, question claimQuestion) (r claimReply, err error) {
	reply, err := q.claim.Run(script.WithTimeout(ctx, q.store.timeout), q.store.clocks, q.store.lanes, keys, consumer, question.limit, question.lease.Milliseconds(),
		question.consumerIdle.Milliseconds(), boolToInt(question.again), q.maxElement, q.keep.Milliseconds())
	if err != nil {
		return r, wrapError("claim", err)
	}
	list, ok := reply.([]any)
	if !ok || len(list) < claimHead || (len(list)-claimHead)%2 != 0 {
		return r, errUnexpectedReply
	}
	var head [claimHead]int64
	for i := range head {
		if head[i], ok = list[i].(int64); !ok {
			return r, errUnexpectedReply
		}
	}
	r = claimReply{nextDue: time.Duration(head[0]) * time.Millisecond, dead: int(head[1]), more: head[2] == 1,
		due: int(head[3]), later: int(head[4]), oldest: time.Duration(head[5]) * time.Millisecond}
	for i := len(head); i < len(list); i += 2 {
		id, _ := list[i].(string)
		element, _ := list[i+1].(string)
		r.entries = append(r.entries, claimedEntry{id, element})
	}
	return r, nil
}

// polls decide which partition is asked when. They are safe for concurrent use.
type polls struct {
	changed chan struct{} // holds an element after wake

	mu          sync.Mutex
	partitions  []poll
	failures    int
	lastFailure time.Time
}

// A poll is when a partition is asked next, and what was asked last.
type poll struct {
	at        time.Time
	leases    time.Time // when elements of dead processes were claimed last
	consumers time.Time // when dead consumers were removed last
	failure   int       // number of its last failure among those of all partitions; 0: it could be asked
	again     bool      // a reply may have been lost, so what this process has claimed is asked for once more
}

func newPolls(partitions int) polls {
	return polls{changed: make(chan struct{}, 1), partitions: make([]poll, partitions)}
}

// askAt makes sure that a partition is asked at a time, at the latest.
func (p *polls) askAt(partition int, at time.Time) {
	p.mu.Lock()
	one := &p.partitions[partition]
	if at.Before(one.at) {
		one.at = at
	}
	p.mu.Unlock()
	p.wake()
}

// wake ends sleep, now or when it is called next.
func (p *polls) wake() {
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// next returns the partition that is asked next, and when. Partitions that could not be asked do not hold the others up: each such
// question may take as long as the time-out. The one that failed before the others is asked first.
func (p *polls) next(now time.Time) (partition int, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var first time.Time
	for i, one := range p.partitions {
		at := one.at
		if after := p.lastFailure.Add(pollAfterFailure); one.failure > 0 && at.Before(after) {
			at = after
		}
		if i == 0 || at.Before(first) || at.Equal(first) && one.failure < p.partitions[partition].failure {
			partition, first = i, at
		}
	}
	return partition, first.Sub(now)
}

// sleep returns after a time, after wake, or when the context ends.
func (p *polls) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.changed:
	case <-ctx.Done():
	}
}

// interval returns the longest time between two questions about one partition.
func (p *polls) interval() time.Duration {
	return max(pollInterval, pollSpacing*time.Duration(len(p.partitions)))
}

// begin plans the next question about a partition before the current one is asked, so that a message that is queued meanwhile is
// asked for.
func (p *polls) begin(partition int) (q claimQuestion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, one := time.Now(), &p.partitions[partition]
	one.at = now.Add(p.interval())
	if now.Sub(one.leases) >= pollInterval {
		one.leases, q.lease = now, watchword.SendLease
	}
	if now.Sub(one.consumers) >= deadConsumerChecks {
		one.consumers, q.consumerIdle = now, deadConsumerIdle
	}
	q.again = one.again
	return q
}

// end plans the next question after a reply: at once if there may be more elements, and when the next one becomes due. If a
// partition can be asked again, the others that could not are asked too.
func (p *polls) end(partition int, due time.Duration, more, complete bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, one := time.Now(), &p.partitions[partition]
	if one.failure > 0 {
		one.failure, p.lastFailure = 0, time.Time{}
	}
	one.again = one.again && !complete
	switch {
	case more:
		one.at = now
	case due >= 0 && now.Add(due).Before(one.at):
		one.at = now.Add(due)
	}
}

// failed records that a partition could not be asked, and reports whether none can.
func (p *polls) failed(partition int) (all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	one := &p.partitions[partition]
	p.failures++
	one.failure, one.again, one.at, p.lastFailure = p.failures, true, time.Time{}, time.Now()
	for i := range p.partitions {
		if p.partitions[i].failure == 0 {
			return false
		}
	}
	p.lastFailure = time.Time{} // the caller of Claim waits
	return true
}
