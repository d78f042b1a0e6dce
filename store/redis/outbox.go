package redis

import (
	"context"
	"crypto/rand"
	_ "embed" // the scripts
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
	"github.com/watchword-auth/watchword/internal/script"
)

var (
	//go:embed outbox.lua
	outboxLua string
	//go:embed claim.lua
	claimLua string
	//go:embed finish.lua
	finishLua string
	//go:embed put.lua
	putLua string
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

// An Outbox is a Store that is a watchword.Outbox too: Create and Update queue messages in the step that writes the entry. Any
// number of processes may share it. What one claims and does not finish within watchword.SendLease, because it died, another
// claims. It is safe for concurrent use.
//
// A process asks Redis for elements when it has queued some itself, when one that it knows of becomes due, and otherwise once a
// second; on a Cluster with 64 partitions, every partition once in 6.4 seconds. No connection is blocked.
type Outbox struct {
	*Store
	app         string
	consumer    string // of this process
	deadLetters func(n int)
	claim       script.Timed
	finish      script.Timed
	put         script.Timed
	rights      script.Timed  // for Ping
	turn        chan struct{} // held by the Claim that asks Redis
	polls       polls
	local       localCopies
	direct      directMessages
	held        heldEntries
	backlogs    backlogs
	probes      probe.Gate
}

var (
	_ watchword.Store        = (*Outbox)(nil)
	_ watchword.DirectOutbox = (*Outbox)(nil)
	_ watchword.Pinger       = (*Outbox)(nil)
)

// NewOutbox returns an Outbox whose entries are those of the Store. It sends nothing.
func NewOutbox(s *Store, cfg OutboxConfig) (*Outbox, error) {
	if cfg.App == "" || strings.ContainsAny(cfg.App, "{}:") {
		return nil, errors.New("redis: an outbox needs the id of its app, without braces and colons")
	}
	if cfg.DeadLetters == nil {
		cfg.DeadLetters = func(int) {}
	}
	return &Outbox{Store: s, app: cfg.App, consumer: rand.Text(), deadLetters: cfg.DeadLetters, turn: make(chan struct{}, 1),
		claim: script.NewTimed(outboxLua + claimLua), finish: script.NewTimed(outboxLua + finishLua), put: script.NewTimed(outboxLua + putLua), rights: script.NewTimed(outboxProbeLua),
		polls: newPolls(len(s.tags)), local: localCopies{elements: map[string]localCopy{}}, held: heldEntries{claims: map[string]bool{}},
		backlogs: backlogs{partitions: make([]backlog, len(s.tags))}}, nil
}

// Create implements watchword.Store by create.lua.
func (o *Outbox) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	return o.queueWith(e.ID, out, func(m messages) error { return o.Store.createWith(ctx, e, m) })
}

// Update implements watchword.Store by update.lua.
func (o *Outbox) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	return o.queueWith(e.ID, out, func(m messages) error { return o.Store.updateWith(ctx, e, m) })
}

// UpdateAndFinish implements watchword.DirectOutbox by update.lua.
func (o *Outbox) UpdateAndFinish(ctx context.Context, e watchword.Entry, finished watchword.Outgoing, out ...watchword.Outgoing) error {
	p, id, err := o.parseClaim(finished.Claim)
	if err != nil {
		return err
	}
	o.held.remove(finished.Claim)
	return o.queueWith(e.ID, out, func(m messages) error {
		m.keys, m.finished = o.keys(p)[:2], id
		return o.Store.updateWith(ctx, e, m)
	})
}

// queueWith calls write with the messages of an entry, and hands them to Claim afterwards.
func (o *Outbox) queueWith(id string, out []watchword.Outgoing, write func(messages) error) error {
	if len(out) == 0 {
		return write(messages{})
	}
	p := o.partitionOf(id)
	m, err := o.messages(p, out)
	if err == nil {
		o.local.add(out) // before a worker can claim them
		err = write(m)
	}
	for _, one := range out {
		switch {
		case one.Direct && err == nil:
			element, _ := encodeElement(one) // messages has encoded it before
			one.Claim = formatClaim(p, element)
			o.direct.add(one)
			o.polls.wake()
		case one.Direct:
			o.direct.release()
		case err == nil:
			o.polls.askAt(p, one.Due)
		}
	}
	return err
}

// Reserve implements watchword.DirectOutbox.
func (o *Outbox) Reserve() bool { return o.direct.reserve() }

// Unreserve implements watchword.DirectOutbox.
func (o *Outbox) Unreserve() { o.direct.release() }

// Put implements watchword.Outbox by put.lua. The engine never calls it.
func (o *Outbox) Put(ctx context.Context, out ...watchword.Outgoing) error {
	for _, one := range out {
		p := o.partitionOf(one.ChallengeID)
		m, err := o.messages(p, []watchword.Outgoing{one})
		if err != nil {
			return err
		}
		if err := o.runOutbox(ctx, "put", o.put, m.keys, m.args...); err != nil {
			return err
		}
		o.polls.askAt(p, one.Due)
	}
	return nil
}

// Done implements watchword.Outbox by finish.lua.
func (o *Outbox) Done(ctx context.Context, out watchword.Outgoing) error {
	p, id, err := o.parseClaim(out.Claim)
	if err != nil {
		return err
	}
	o.held.remove(out.Claim)
	return o.runOutbox(ctx, "done", o.finish, o.keys(p)[:2], id)
}

// Bury implements watchword.Outbox. The message is not kept: its challenge shows that it has failed.
func (o *Outbox) Bury(ctx context.Context, out watchword.Outgoing) error { return o.Done(ctx, out) }

// Retry implements watchword.Outbox by finish.lua.
func (o *Outbox) Retry(ctx context.Context, out watchword.Outgoing, at time.Time) error {
	p, id, err := o.parseClaim(out.Claim)
	if err != nil {
		return err
	}
	out.Attempt++
	out.Due, out.Direct = at, false
	m, err := o.messages(p, []watchword.Outgoing{out})
	if err != nil {
		return err
	}
	o.held.remove(out.Claim)
	if err := o.runOutbox(ctx, "retry", o.finish, m.keys, append([]any{id}, m.args...)...); err != nil {
		return err
	}
	o.polls.askAt(p, at)
	return nil
}

// runOutbox runs a script whose reply does not matter.
func (o *Outbox) runOutbox(ctx context.Context, what string, sc script.Timed, keys []string, args ...any) error {
	_, err := sc.Run(script.WithTimeout(ctx, o.timeout), o.clocks, o.lanes, keys, args...)
	return wrapError(what, err)
}

// keys returns the keys of the app's outbox in a partition: stream, sorted set and dead letters.
func (o *Outbox) keys(partition int) []string { return outboxKeys(o.tags[partition], o.app) }

func outboxKeys(tag, app string) []string {
	return []string{tag + ":o:" + app, tag + ":d:" + app, tag + ":x:" + app}
}

// messages are the keys and arguments with which a script queues messages, and update.lua removes one.
type messages struct {
	keys     []string
	args     []any  // the delay in ms and the element of each
	finished string // what is removed: the id of an entry of the stream, or an element of the sorted set; empty: nothing
}

func (o *Outbox) messages(partition int, out []watchword.Outgoing) (m messages, err error) {
	m.keys = o.keys(partition)[:2]
	for _, one := range out {
		element, err := encodeElement(one)
		if err != nil {
			return m, err
		}
		var delay time.Duration
		switch {
		case one.Direct:
			delay = watchword.SendLease // unless it is done before
		case !one.Due.IsZero():
			delay = max(time.Until(one.Due), 0)
		}
		m.args = append(m.args, (delay + time.Millisecond - 1).Milliseconds(), element)
	}
	return m, nil
}

// maxElement is the greatest length of an element in bytes; claim.lua has the same.
const maxElement = 256

var errNoElement = errors.New("redis: an outbox holds ids only, of at most 256 bytes")

// encodeElement returns an Outgoing as it is stored: kind|send|attempt|challenge.
func encodeElement(o watchword.Outgoing) (string, error) {
	element := string(o.Kind) + "|" + strconv.Itoa(o.Send) + "|" + strconv.Itoa(o.Attempt) + "|" + o.ChallengeID
	if len(element) > maxElement || strings.ContainsFunc(string(o.Kind), func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) || o.ChallengeID == "" {
		return "", errNoElement
	}
	return element, nil
}

func decodeElement(element string) (o watchword.Outgoing, err error) {
	parts := strings.SplitN(element, "|", 4)
	if len(parts) != 4 {
		return o, errUnexpectedReply
	}
	o.Kind, o.ChallengeID = watchword.OutgoingKind(parts[0]), parts[3]
	o.Send, err = strconv.Atoi(parts[1])
	if err == nil {
		o.Attempt, err = strconv.Atoi(parts[2])
	}
	return o, err
}

// formatClaim returns the name of a claimed element: its partition, and its id in the stream or, in the sorted set, the element.
func formatClaim(partition int, id string) string { return strconv.Itoa(partition) + " " + id }

func (o *Outbox) parseClaim(claim string) (partition int, id string, err error) {
	number, id, _ := strings.Cut(claim, " ")
	partition, err = strconv.Atoi(number)
	if err != nil || partition < 0 || partition >= len(o.tags) || id == "" {
		return 0, "", fmt.Errorf("redis: the message is not claimed")
	}
	return partition, id, nil
}
