package redis

import (
	"context"
	_ "embed" // the scripts
	"errors"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
	"github.com/watchword-auth/watchword/internal/script"
)

var (
	//go:embed queue.lua
	queueLua string
	//go:embed outbox.lua
	outboxLua string
	//go:embed claim.lua
	claimLua string
	//go:embed finish.lua
	finishLua string
	//go:embed put.lua
	putLua string
	//go:embed bury.lua
	buryLua string
	//go:embed outbox_probe.lua
	outboxProbeLua string
)

// OutboxConfig configures an Outbox.
type OutboxConfig struct {
	// App is the id of the app whose messages the Outbox holds. Every app has its own, in the keys of its Store.
	App string
	// DeadLetters is called with the number of elements that were moved to the dead letters. The default does nothing.
	DeadLetters func(n int)
}

// An Outbox is a Store that is a watchword.EventOutbox too: its methods queue messages, and what happens to challenges, in the
// step that writes the entry. Any number of processes may share it. What one claims and does not finish within
// watchword.SendLease, because it died, another claims. It is safe for concurrent use.
//
// A process asks Redis for elements when it has queued some itself, when one that it knows of becomes due, and otherwise once a
// second; on a Cluster with 64 partitions, every partition once in 6.4 seconds. No connection is blocked.
type Outbox struct {
	*Store
	*queue              // of messages
	events *queue       // of what happened
	rights script.Timed // for Ping
	probes probe.Gate
}

var (
	_ watchword.Store          = (*Outbox)(nil)
	_ watchword.DirectOutbox   = (*Outbox)(nil)
	_ watchword.EventOutbox    = (*Outbox)(nil)
	_ watchword.Pinger         = (*Outbox)(nil)
	_ watchword.WorkerReporter = (*Outbox)(nil)
)

// The beginnings of the names of the queues' keys.
const (
	messageKeys  = ""
	eventKeys    = "e"
	endpointKeys = "p"
)

// NewOutbox returns an Outbox whose entries are those of the Store. It sends nothing.
func NewOutbox(s *Store, cfg OutboxConfig) (*Outbox, error) {
	if err := checkAppID(cfg.App); err != nil {
		return nil, err
	}
	if cfg.DeadLetters == nil {
		cfg.DeadLetters = func(int) {}
	}
	newQueue := func(kind string) *queue {
		var keys [][]string
		for _, tag := range s.tags {
			keys = append(keys, queueKeys(tag, kind, cfg.App))
		}
		return newQueue(s, keys, queueConfig{maxElement: maxIDElement, deadLetters: cfg.DeadLetters})
	}
	return &Outbox{Store: s, queue: newQueue(messageKeys), events: newQueue(eventKeys), rights: script.NewTimed(outboxProbeLua)}, nil
}

// checkAppID refuses the id of an app that would be ambiguous in a key.
func checkAppID(app string) error {
	if app == "" || strings.ContainsAny(app, "{}:") {
		return errors.New("redis: an outbox needs the id of its app, without braces and colons")
	}
	return nil
}

// Events implements watchword.EventOutbox.
func (o *Outbox) Events() watchword.Outbox { return o.events }

// Create implements watchword.Store by create.lua.
func (o *Outbox) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	return o.queueWith(e.ID, out, func(m messages) (bool, error) {
		err := o.createWith(ctx, e, m)
		return err == nil, err
	})
}

// Update implements watchword.Store by update.lua.
func (o *Outbox) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	return o.queueWith(e.ID, out, func(m messages) (bool, error) {
		err := o.updateWith(ctx, e, m)
		return err == nil, err
	})
}

// UpdateAndFinish implements watchword.DirectOutbox by update.lua.
func (o *Outbox) UpdateAndFinish(ctx context.Context, e watchword.Entry, finished watchword.Outgoing, out ...watchword.Outgoing) error {
	p, id, err := o.parseClaim(finished.Claim)
	if err != nil {
		return err
	}
	o.held.remove(finished.Claim)
	m := messages{keys: slices.Clone(o.keys[p][:2]), finished: id}
	return o.queueInto(m, e.ID, out, func(m messages) (bool, error) {
		err := o.updateWith(ctx, e, m)
		return err == nil, err
	})
}

// Attempt implements watchword.Store by attempt.lua.
func (o *Outbox) Attempt(ctx context.Context, id string, guesses []watchword.Guess, b watchword.Budget) (e watchword.Entry, err error) {
	err = o.queueWith(id, b.Ended, func(m messages) (bool, error) {
		e, err = o.attemptWith(ctx, id, guesses, b, m)
		ended := (err == nil || errors.Is(err, watchword.ErrMismatch)) && e.State != watchword.StatePending
		return ended, err
	})
	return e, err
}

// Close implements watchword.Store by close.lua.
func (o *Outbox) Close(ctx context.Context, id string, c watchword.Closing) error {
	return o.queueWith(id, c.Ended, func(m messages) (bool, error) {
		err := o.closeWith(ctx, id, c, m)
		return err == nil, err
	})
}

// queueWith calls write with the elements of an entry. If write reports that they were queued, Claim returns them.
func (o *Outbox) queueWith(id string, out []watchword.Outgoing, write func(messages) (queued bool, err error)) error {
	return o.queueInto(messages{}, id, out, write)
}

// queueInto is queueWith with messages that have keys already.
func (o *Outbox) queueInto(m messages, id string, out []watchword.Outgoing, write func(messages) (queued bool, err error)) error {
	if len(out) == 0 {
		_, err := write(m)
		return err
	}
	p := o.partitionOf(id)
	var err error
	queues := make([]*queue, len(out))
	for i := range out {
		queues[i] = o.queue
		if out[i].Kind.IsEvent() {
			queues[i] = o.events
			out[i].Direct = out[i].Due.IsZero() && o.events.Reserve()
		}
		if also := m.add(queues[i], p, out[i]); also != nil {
			err = also
		}
	}
	queued := false
	if err == nil {
		for i, one := range out {
			queues[i].local.add(one) // before a worker can claim it
		}
		queued, err = write(m)
	}
	for i, one := range out {
		queues[i].handOver(p, one, queued)
	}
	return err
}
