package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/script"
)

// handOver hands an element to Claim, if it was queued.
func (q *queue) handOver(p int, one watchword.Outgoing, queued bool) {
	switch {
	case one.Direct && queued:
		element, _ := q.encodeElement(one) // messages has encoded it before
		one.Claim = formatClaim(p, element)
		q.direct.add(one)
		q.polls.wake()
	case one.Direct:
		q.direct.release()
	case queued:
		q.polls.askAt(p, one.Due)
	}
}

// A queue holds elements of one kind: a watchword.Outbox of its own.
type queue struct {
	store *Store
	queueConfig
	keys     [][]string // of each partition
	consumer string     // of this process
	claim    script.Timed
	finish   script.Timed
	put      script.Timed
	bury     script.Timed
	turn     chan struct{} // held by the Claim that asks Redis
	claimed  atomic.Bool   // Claim was called
	polls    polls
	local    localCopies
	direct   directMessages
	held     heldEntries
	backlogs backlogs
}

type queueConfig struct {
	maxElement  int           // greatest length of an element in bytes
	maxSize     int           // greatest size of the queue in bytes, beyond the first 1,000 elements; 0: unlimited
	keep        time.Duration // lifetime of the keys after the last Put or Claim; 0: unlimited
	keepsDead   bool          // Bury keeps elements as dead letters
	deadLetters func(n int)
}

func newQueue(s *Store, keys [][]string, cfg queueConfig) *queue {
	return &queue{store: s, queueConfig: cfg, keys: keys, consumer: rand.Text(), turn: make(chan struct{}, 1),
		claim: script.NewTimed(queueLua + outboxLua + claimLua), finish: script.NewTimed(queueLua + outboxLua + finishLua),
		put: script.NewTimed(queueLua + outboxLua + putLua), bury: script.NewTimed(queueLua + outboxLua + buryLua),
		polls: newPolls(len(keys)), local: localCopies{elements: map[string]localCopy{}, encode: func(o watchword.Outgoing) (string, error) { return encodeElement(o, cfg.maxElement) }},
		held: heldEntries{claims: map[string]bool{}}, backlogs: backlogs{partitions: make([]backlog, len(keys))}}
}

// Reserve implements watchword.DirectOutbox.
func (q *queue) Reserve() bool { return q.direct.reserve() }

// Unreserve implements watchword.DirectOutbox.
func (q *queue) Unreserve() { q.direct.release() }

// Put implements watchword.Outbox by put.lua. The engine never calls it.
func (q *queue) Put(ctx context.Context, out ...watchword.Outgoing) error {
	for _, one := range out {
		p := 0
		if len(q.keys) > 1 {
			p = q.store.partitionOf(one.ChallengeID)
		}
		m := messages{}
		if err := m.add(q, p, one); err != nil {
			return err
		}
		reply, err := q.run(ctx, "put", q.put, m.keys, append([]any{q.maxSize, q.keep.Milliseconds()}, m.arguments(1)...)...)
		if err != nil {
			return err
		}
		if reply != string(replyDone) {
			return watchword.ErrQueueFull
		}
		q.polls.askAt(p, one.Due)
	}
	return nil
}

// Done implements watchword.Outbox by finish.lua.
func (q *queue) Done(ctx context.Context, out watchword.Outgoing) error {
	p, id, err := q.parseClaim(out.Claim)
	if err != nil {
		return err
	}
	q.held.remove(out.Claim)
	_, err = q.run(ctx, "done", q.finish, q.keys[p][:2], id)
	return err
}

// Bury implements watchword.Outbox. A message is not kept: its challenge shows that it has failed. Other elements are kept as dead
// letters, by bury.lua.
func (q *queue) Bury(ctx context.Context, out watchword.Outgoing) error {
	if !q.keepsDead {
		return q.Done(ctx, out)
	}
	p, id, err := q.parseClaim(out.Claim)
	if err != nil {
		return err
	}
	element, err := q.encodeElement(out)
	if err != nil {
		return err
	}
	q.held.remove(out.Claim)
	_, err = q.run(ctx, "bury", q.bury, q.keys[p], id, element, q.keep.Milliseconds())
	return err
}

// Retry implements watchword.Outbox by finish.lua.
func (q *queue) Retry(ctx context.Context, out watchword.Outgoing, at time.Time) error {
	p, id, err := q.parseClaim(out.Claim)
	if err != nil {
		return err
	}
	out.Attempt++
	out.Due, out.Direct = at, false
	m := messages{}
	if err := m.add(q, p, out); err != nil {
		return err
	}
	q.held.remove(out.Claim)
	if _, err := q.run(ctx, "retry", q.finish, m.keys, append([]any{id, q.keep.Milliseconds()}, m.arguments(1)...)...); err != nil {
		return err
	}
	q.polls.askAt(p, at)
	return nil
}

// run runs a script, and returns its reply if that is a text.
func (q *queue) run(ctx context.Context, what string, sc script.Timed, keys []string, args ...any) (string, error) {
	reply, err := sc.Run(script.WithTimeout(ctx, q.store.timeout), q.store.clocks, q.store.lanes, keys, args...)
	text, _ := reply.(string)
	return text, wrapError(what, err)
}

// queueKeys returns the keys of a queue in a partition: stream, sorted set and dead letters.
func queueKeys(tag, kind, name string) []string {
	return []string{tag + ":" + kind + "o:" + name, tag + ":" + kind + "d:" + name, tag + ":" + kind + "x:" + name}
}

// messages are the keys and arguments with which a script queues elements.
type messages struct {
	keys     []string // stream and sorted set of each queue
	elements []queuedElement
	finished string // what update.lua removes: the id of an entry of the stream, or an element of the sorted set; empty: nothing
}

type queuedElement struct {
	key     int           // position of the stream in messages.keys
	delay   time.Duration // until it is due
	element string
}

// add adds an element of a queue.
func (m *messages) add(q *queue, partition int, one watchword.Outgoing) error {
	element, err := q.encodeElement(one)
	if err != nil {
		return err
	}
	var delay time.Duration
	switch {
	case one.Direct:
		delay = watchword.SendLease // unless it is done before
	case !one.Due.IsZero():
		delay = max(time.Until(one.Due), 0)
	}
	key := slices.Index(m.keys, q.keys[partition][0])
	if key < 0 {
		key = len(m.keys)
		m.keys = append(m.keys, q.keys[partition][:2]...)
	}
	m.elements = append(m.elements, queuedElement{key, delay, element})
	return nil
}

// arguments returns for each element the number of its stream among the script's keys, the delay in ms and the element. first is
// the number of the first of the keys.
func (m *messages) arguments(first int) (args []any) {
	for _, one := range m.elements {
		args = append(args, first+one.key, (one.delay + time.Millisecond - 1).Milliseconds(), one.element)
	}
	return args
}

// maxIDElement is the greatest length of an element with the ids of a challenge, in bytes.
const maxIDElement = 256

var errNoElement = errors.New("redis: an outbox holds ids only, of at most 256 bytes")

func (q *queue) encodeElement(o watchword.Outgoing) (string, error) {
	return encodeElement(o, q.maxElement)
}

// encodeElement returns an Outgoing as it is stored: kind|send|attempt|challenge.
func encodeElement(o watchword.Outgoing, longest int) (string, error) {
	element := string(o.Kind) + "|" + strconv.Itoa(o.Send) + "|" + strconv.Itoa(o.Attempt) + "|" + o.ChallengeID
	if len(element) > longest || strings.ContainsFunc(string(o.Kind), func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') }) || o.ChallengeID == "" {
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

func (q *queue) parseClaim(claim string) (partition int, id string, err error) {
	number, id, _ := strings.Cut(claim, " ")
	partition, err = strconv.Atoi(number)
	if err != nil || partition < 0 || partition >= len(q.keys) || id == "" {
		return 0, "", fmt.Errorf("redis: the message is not claimed")
	}
	return partition, id, nil
}
