package redis

import (
	"context"
	_ "embed" // the script
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/script"
)

//go:embed replay.lua
var replayLua string

const (
	maxEventElement = 48 << 10           // bytes of an event in the queue of an endpoint
	maxEventBytes   = 64 << 20           // of a queue with more than 1,000 events
	eventKeysLife   = 7 * 24 * time.Hour // of a queue that nothing uses, of its dead letters and of a switch
)

// EventQueueConfig configures an EventQueue.
type EventQueueConfig struct {
	// App is the id of the app whose events the EventQueue holds.
	App string
	// DeadLetters is called with the number of elements that Claim moved to the dead letters, because they are damaged or were
	// claimed five times. The default does nothing.
	DeadLetters func(n int)
}

// An EventQueue implements watchword.EventQueue and watchword.EndpointSwitch. The queue of an endpoint is like that of messages, in
// one partition; see Outbox. It is bounded: beyond 1,000 events it takes at most 64 MiB. There are at most 1,000 dead letters; they
// are kept for seven days after the last one. It is safe for concurrent use.
type EventQueue struct {
	store  *Store
	cfg    EventQueueConfig
	replay script.Timed

	mu     sync.Mutex
	queues map[string]*queue // by endpoint
}

var (
	_ watchword.EventQueue     = (*EventQueue)(nil)
	_ watchword.EndpointSwitch = (*EventQueue)(nil)
)

// NewEventQueue returns an EventQueue in the keys of the Store. It sends nothing.
func NewEventQueue(s *Store, cfg EventQueueConfig) (*EventQueue, error) {
	if err := checkAppID(cfg.App); err != nil {
		return nil, err
	}
	if cfg.DeadLetters == nil {
		cfg.DeadLetters = func(int) {}
	}
	return &EventQueue{store: s, cfg: cfg, replay: script.NewTimed(queueLua + outboxLua + replayLua), queues: map[string]*queue{}}, nil
}

// queueOf returns the queue of an endpoint. The endpoints are configured, so there are few.
func (e *EventQueue) queueOf(endpoint string) *queue {
	e.mu.Lock()
	defer e.mu.Unlock()
	q := e.queues[endpoint]
	if q == nil {
		keys := queueKeys(e.store.hashTag(endpoint), endpointKeys, e.cfg.App+":"+endpoint)
		q = newQueue(e.store, [][]string{keys}, queueConfig{maxElement: maxEventElement, maxSize: maxEventBytes, keep: eventKeysLife, keepsDead: true,
			deadLetters: e.cfg.DeadLetters})
		e.queues[endpoint] = q
	}
	return q
}

// An event is queued as an Outgoing without a kind: its ChallengeID is the encrypted event and its Send the time.
func toOutgoing(q watchword.QueuedEvent) watchword.Outgoing {
	return watchword.Outgoing{Send: int(q.QueuedAt.Unix()), Attempt: q.Attempt, ChallengeID: base64.RawURLEncoding.EncodeToString(q.Sealed), Claim: q.Claim}
}

func fromOutgoing(o watchword.Outgoing) watchword.QueuedEvent {
	sealed, _ := base64.RawURLEncoding.DecodeString(o.ChallengeID) // what does not decode does not decrypt either
	return watchword.QueuedEvent{Sealed: sealed, Attempt: o.Attempt, QueuedAt: time.Unix(int64(o.Send), 0).UTC(), Claim: o.Claim}
}

// Put implements watchword.EventQueue by put.lua.
func (e *EventQueue) Put(ctx context.Context, endpoint string, sealed []byte) error {
	return e.queueOf(endpoint).Put(ctx, toOutgoing(watchword.QueuedEvent{Sealed: sealed, QueuedAt: time.Now()}))
}

// Claim implements watchword.EventQueue by claim.lua.
func (e *EventQueue) Claim(ctx context.Context, endpoint string, limit int) (claimed []watchword.QueuedEvent, err error) {
	out, err := e.queueOf(endpoint).Claim(ctx, limit)
	for _, o := range out {
		claimed = append(claimed, fromOutgoing(o))
	}
	return claimed, err
}

// Done implements watchword.EventQueue by finish.lua.
func (e *EventQueue) Done(ctx context.Context, endpoint string, q watchword.QueuedEvent) error {
	return e.queueOf(endpoint).Done(ctx, toOutgoing(q))
}

// Retry implements watchword.EventQueue by finish.lua.
func (e *EventQueue) Retry(ctx context.Context, endpoint string, q watchword.QueuedEvent, at time.Time) error {
	return e.queueOf(endpoint).Retry(ctx, toOutgoing(q), at)
}

// Bury implements watchword.EventQueue by bury.lua.
func (e *EventQueue) Bury(ctx context.Context, endpoint string, q watchword.QueuedEvent) error {
	return e.queueOf(endpoint).Bury(ctx, toOutgoing(q))
}

// switchKey returns the key of the note that turns an endpoint off.
func (e *EventQueue) switchKey(endpoint string) string {
	return e.store.hashTag(endpoint) + ":" + endpointKeys + "g:" + e.cfg.App + ":" + endpoint
}

// TurnOff implements watchword.EndpointSwitch. A note that nobody reads for seven days is removed.
func (e *EventQueue) TurnOff(ctx context.Context, endpoint string, note []byte) error {
	ctx, cancel := context.WithTimeout(ctx, e.store.timeout)
	defer cancel()
	_, err := script.Do(ctx, e.store.lanes, "set", e.switchKey(endpoint), note, "px", eventKeysLife.Milliseconds())
	return wrapError("turn off", err)
}

// NoteOf implements watchword.EndpointSwitch. A value of another type is no note.
func (e *EventQueue) NoteOf(ctx context.Context, endpoint string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, e.store.timeout)
	defer cancel()
	key := e.switchKey(endpoint)
	reply, err := script.Do(ctx, e.store.lanes, "getrange", key, 0, maxEventElement)
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, nil
	}
	note, _ := reply.(string)
	if err != nil || note == "" {
		return nil, wrapError("endpoint note", err)
	}
	_, err = script.Do(ctx, e.store.lanes, "pexpire", key, eventKeysLife.Milliseconds())
	return []byte(note), wrapError("endpoint note", err)
}

// Counts returns how many events of an endpoint wait, and how many dead letters it has.
func (e *EventQueue) Counts(ctx context.Context, endpoint string) (waiting, dead int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.store.timeout)
	defer cancel()
	keys := e.queueOf(endpoint).keys[0]
	var counts [3]int64
	for i, verb := range []string{"xlen", "zcard", "llen"} {
		reply, err := script.Do(ctx, e.store.lanes, verb, keys[i])
		if redis.HasErrorPrefix(err, "WRONGTYPE") {
			continue // removed by the next script
		}
		if err != nil {
			return 0, 0, wrapError("count", err)
		}
		counts[i], _ = reply.(int64)
	}
	return counts[0] + counts[1], counts[2], nil
}

// Waiting returns events of an endpoint that wait, those that are due first, at most limit.
func (e *EventQueue) Waiting(ctx context.Context, endpoint string, limit int) (waiting []watchword.QueuedEvent, err error) {
	keys := e.queueOf(endpoint).keys[0]
	entries, err := e.store.client.XRangeN(ctx, keys[0], "-", "+", int64(limit)).Result()
	if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, wrapError("list", err)
	}
	for _, entry := range entries {
		waiting = appendEvent(waiting, fmt.Sprint(entry.Values["m"]), time.Time{})
	}
	later, err := e.store.client.ZRangeWithScores(ctx, keys[1], 0, int64(max(limit-len(waiting), 1)-1)).Result()
	if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, wrapError("list", err)
	}
	for _, one := range later {
		element, _ := one.Member.(string)
		waiting = appendEvent(waiting, element, time.UnixMilli(int64(one.Score)).UTC())
	}
	return waiting, nil
}

// DeadLetters returns the events of an endpoint that failed for good, the latest first. Claim names them for Replay.
func (e *EventQueue) DeadLetters(ctx context.Context, endpoint string) (dead []watchword.QueuedEvent, err error) {
	texts, err := e.store.client.LRange(ctx, e.queueOf(endpoint).keys[0][2], 0, -1).Result()
	if err != nil && !redis.HasErrorPrefix(err, "WRONGTYPE") {
		return nil, wrapError("list", err)
	}
	for _, text := range texts {
		n := len(dead)
		if dead = appendEvent(dead, strings.TrimPrefix(text, "m "), time.Time{}); len(dead) > n {
			dead[n].Claim = text
		}
	}
	return dead, nil
}

// appendEvent appends an element, unless it is damaged.
func appendEvent(to []watchword.QueuedEvent, element string, due time.Time) []watchword.QueuedEvent {
	o, err := decodeElement(element)
	if err != nil || o.Kind != "" {
		return to
	}
	q := fromOutgoing(o)
	q.Due = due
	return append(to, q)
}

// ErrNoDeadLetter is returned by Replay for an event that is no dead letter any more.
var ErrNoDeadLetter = errors.New("redis: no such dead letter")

// Replay returns a dead letter to the queue, as if it were new.
func (e *EventQueue) Replay(ctx context.Context, endpoint string, dead watchword.QueuedEvent) error {
	q := e.queueOf(endpoint)
	m := messages{}
	if err := m.add(q, 0, toOutgoing(watchword.QueuedEvent{Sealed: dead.Sealed, QueuedAt: time.Now()})); err != nil {
		return err
	}
	reply, err := q.run(ctx, "replay", e.replay, q.keys[0], append([]any{dead.Claim, q.keep.Milliseconds()}, m.arguments(1)...)...)
	if err == nil && reply != string(replyDone) {
		err = ErrNoDeadLetter
	}
	return err
}
