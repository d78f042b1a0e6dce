package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/script"
)

// The letters with which the scripts' replies begin.
const (
	replyDone     = 'w'
	replyClosed   = 'c'
	replyExpired  = 'x'
	replySpent    = 's'
	replyBudget   = 'b'
	replyMismatch = 'm'
	replyVersion  = 'v'
	replyExists   = 'e'
	replyInFlight = 'f'
	replyDamaged  = 'd'
)

// damagedPrefix precedes the letter if a damaged value was replaced.
const damagedPrefix = "!"

// Arguments of Config.Damaged.
const (
	entryKind  = "entry"
	budgetKind = "budget"
)

// Create implements watchword.Store by create.lua. It ignores the messages; an Outbox queues them.
func (s *Store) Create(ctx context.Context, e watchword.Entry, _ ...watchword.Outgoing) error {
	return s.createWith(ctx, e, messages{})
}

// createWith stores an entry and queues messages.
func (s *Store) createWith(ctx context.Context, e watchword.Entry, m messages) error {
	ctx = script.WithTimeout(ctx, s.timeout)
	value, err := encodeEntry(e)
	if err != nil {
		return err
	}
	until := max((e.KeepUntil.UnixMicro()+999)/1000, 1)
	keys := append([]string{s.entryKey(e.ID)}, m.keys...)
	reply, err := textReply(s.create.Run(ctx, s.clocks, s.lanes, keys, append([]any{value, until}, m.arguments(2)...)...))
	if err != nil {
		return wrapError("create", err)
	}
	reply, replaced := strings.CutPrefix(reply, damagedPrefix)
	if replaced {
		s.damaged(entryKind)
	}
	return s.replyError(reply)
}

// Get implements watchword.Store by one GETRANGE, which reads no more than an entry may have. A key that does not exist reads as
// an empty string.
func (s *Store) Get(ctx context.Context, id string) (watchword.Entry, error) {
	ctx = script.WithTimeout(ctx, s.timeout)
	value, err := textReply(script.Do(ctx, s.lanes, "getrange", s.entryKey(id), 0, maxValue))
	if errors.Is(err, errDamaged) {
		return watchword.Entry{}, watchword.ErrNotFound
	}
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		return watchword.Entry{}, s.replyError(string(replyDamaged))
	}
	if err != nil {
		return watchword.Entry{}, fmt.Errorf("redis: get: %w", describeError(err))
	}
	e, err := decodeEntry(id, value)
	if err != nil {
		return watchword.Entry{}, s.replyError(string(replyDamaged))
	}
	return e, nil
}

// Attempt implements watchword.Store by attempt.lua. It ignores b.Ended; an Outbox queues that.
func (s *Store) Attempt(ctx context.Context, id string, guesses []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	return s.attemptWith(ctx, id, guesses, b, messages{})
}

// attemptWith charges and compares, and queues elements if that ends the entry.
func (s *Store) attemptWith(ctx context.Context, id string, guesses []watchword.Guess, b watchword.Budget, m messages) (watchword.Entry, error) {
	keys, err := s.scriptKeys(id, b.Key)
	if err != nil {
		return watchword.Entry{}, err
	}
	args, err := encodeAttempt(guesses, b, m.arguments(len(keys)+1))
	if err != nil {
		return watchword.Entry{}, err
	}
	keys = append(keys, m.keys...)
	reply, err := s.run(ctx, s.attempt, keys, closedEntry, args...)
	if err != nil {
		return watchword.Entry{}, wrapError("attempt", err)
	}
	reply, refilled := strings.CutPrefix(reply, damagedPrefix)
	if refilled {
		s.damaged(budgetKind)
	}
	switch reply[0] {
	case replyDone:
		return decodeEntry(id, reply[1:])
	case replyDamaged:
		return watchword.Entry{}, s.replyError(reply)
	}
	if len(reply) < 1+countersSize {
		return watchword.Entry{}, errUnexpectedReply
	}
	e := decodeCounters(id, []byte(reply[1:1+countersSize]))
	e.Settled = int(binary.BigEndian.Uint16([]byte(reply[countersSize-1:])))
	if wait := reply[1+countersSize:]; reply[0] == replyBudget && len(wait) == 8 {
		return e, &watchword.BudgetError{RetryAfter: time.Duration(binary.BigEndian.Uint64([]byte(wait))) * time.Microsecond}
	}
	return e, s.replyError(reply)
}

func encodeAttempt(guesses []watchword.Guess, b watchword.Budget, ended []any) ([]any, error) {
	if b.Key == "" {
		b.Limits = nil
	}
	plan, longest := encodePlan(b, len(ended)/3)
	args := make([]any, 0, 2+len(ended)+3*len(guesses))
	args = append(args, plan, (longest + time.Millisecond - 1).Milliseconds())
	args = append(args, ended...)
	for _, g := range guesses {
		if g.State != watchword.StateApproved && g.State != watchword.StateLocked {
			return nil, errors.New("redis: a guess approves or locks")
		}
		if len(g.Mark) > maxMark {
			return nil, errFieldTooLong
		}
		args = append(args, g.Digest, int(g.State), g.Mark)
	}
	return args, nil
}

// encodePlan encodes what attempt.lua charges, as big-endian numbers: 1 if the first try of an entry is free; the maximum number of
// repeats, if a repeat is charged instead of a try, or 0; the number of elements that are queued if the attempt ends the entry; the
// greatest Max and the longest Per of the limits; then Max (4 bytes) and Per (µs, 8 bytes) of each limit. A Max below 1 is 0.
func encodePlan(b watchword.Budget, queued int) (plan []byte, longest time.Duration) {
	most, micros := 1, uint64(0)
	limits := make([]byte, 0, 12*len(b.Limits))
	for _, w := range b.Limits {
		per := uint64(max((w.Per + time.Microsecond - 1).Microseconds(), 0))
		most, micros = max(most, w.Max), max(micros, per)
		limits = binary.BigEndian.AppendUint32(limits, uint32(min(max(w.Max, 0), math.MaxInt32)))
		limits = binary.BigEndian.AppendUint64(limits, per)
	}
	plan = append(make([]byte, 0, 15+len(limits)), byte(boolToInt(b.FirstFree)), byte(min(max(b.Repeats, 0), math.MaxUint8)), byte(queued))
	plan = binary.BigEndian.AppendUint32(plan, uint32(min(most, math.MaxInt32)))
	plan = binary.BigEndian.AppendUint64(plan, micros)
	return append(plan, limits...), time.Duration(micros) * time.Microsecond
}

// closedEntry reports whether an attempt closed the entry, by its reply.
func closedEntry(reply string) bool {
	reply = strings.TrimPrefix(reply, damagedPrefix)
	switch reply[0] {
	case replyDone, replyMismatch:
		at := 1 // state follows the letter, or the letter and the format
		if reply[0] == replyDone {
			at = 2
		}
		return len(reply) > at && watchword.State(reply[at]) != watchword.StatePending
	}
	return false
}

// Close implements watchword.Store by close.lua. It ignores c.Ended; an Outbox queues that.
func (s *Store) Close(ctx context.Context, id string, c watchword.Closing) error {
	return s.closeWith(ctx, id, c, messages{})
}

// closeWith ends an entry and queues elements.
func (s *Store) closeWith(ctx context.Context, id string, c watchword.Closing, m messages) error {
	if c.State == watchword.StatePending {
		return errors.New("redis: a closing leaves the pending state")
	}
	if len(c.Mark) > maxMark || len(c.Sealed) > maxContent {
		return errFieldTooLong
	}
	keys, err := s.scriptKeys(id, c.Clear)
	if err != nil {
		return err
	}
	before := int64(math.MaxInt64)
	if !c.Before.IsZero() {
		before = c.Before.UnixMicro()
	}
	var was []byte
	if c.Version != 0 {
		was = binary.BigEndian.AppendUint64(nil, uint64(c.Version))
	}
	args := append([]any{int(c.State), c.Mark, boolToInt(c.Sealed != nil), c.Sealed, before, boolToInt(c.Settles), c.Idle.Microseconds(), was}, m.arguments(len(keys)+1)...)
	reply, err := s.run(ctx, s.closing, append(keys, m.keys...), isDone, args...)
	if err != nil {
		return wrapError("close", err)
	}
	return s.replyError(reply)
}

// Update implements watchword.Store by update.lua. It ignores the messages; an Outbox queues them.
func (s *Store) Update(ctx context.Context, e watchword.Entry, _ ...watchword.Outgoing) error {
	return s.updateWith(ctx, e, messages{})
}

// updateWith replaces the content of an entry, queues messages and removes one.
func (s *Store) updateWith(ctx context.Context, e watchword.Entry, m messages) error {
	digests, err := encodeDigests(e)
	if err != nil {
		return err
	}
	was := binary.BigEndian.AppendUint64(nil, uint64(e.Version))
	keys := append([]string{s.entryKey(e.ID)}, m.keys...)
	reply, err := s.run(ctx, s.update, keys, isDone, append([]any{was, digests, e.Sealed, int(e.State), m.finished}, m.arguments(2)...)...)
	if err != nil {
		return wrapError("update", err)
	}
	return s.replyError(reply)
}

// boolToInt returns a flag as the scripts read it.
func boolToInt(flag bool) int {
	if flag {
		return 1
	}
	return 0
}

func isDone(reply string) bool { return reply[0] == replyDone }

// scriptKeys returns the keys of an entry and its budget. A budget of another group is an error, because it may be on another
// node.
func (s *Store) scriptKeys(id, budget string) ([]string, error) {
	if budget == "" {
		return []string{s.entryKey(id)}, nil
	}
	if groupOf(id) != groupOf(budget) {
		return nil, errors.New("redis: the budget belongs to another group than the entry")
	}
	return []string{s.entryKey(id), s.budgetKey(budget)}, nil
}

// run runs a script. With Config.WaitReplicas, it waits for the replicas if wrote reports that the script has written.
func (s *Store) run(ctx context.Context, sc script.Timed, keys []string, wrote func(reply string) bool, args ...any) (string, error) {
	if s.waitReplicas > 0 {
		ctx, cancel := context.WithTimeout(ctx, s.timeout)
		defer cancel()
		return s.runAndWait(ctx, sc, keys, wrote, args...)
	}
	return textReply(sc.Run(script.WithTimeout(ctx, s.timeout), s.clocks, s.lanes, keys, args...))
}

// textReply returns a reply that is a non-empty string. A nil reply is watchword.ErrNotFound.
func textReply(reply any, err error) (string, error) {
	if errors.Is(err, redis.Nil) {
		return "", watchword.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	s, ok := reply.(string)
	switch {
	case !ok:
		return "", errUnexpectedReply
	case s == "":
		return "", errDamaged
	}
	return s, nil
}

// replyError returns the error for the letter of a reply; nil if the step was taken. It reports a damaged entry.
func (s *Store) replyError(reply string) error {
	switch reply[0] {
	case replyDamaged:
		s.damaged(entryKind)
		return watchword.ErrNotFound
	case replyDone:
		return nil
	case replyClosed:
		return watchword.ErrClosed
	case replyExpired:
		return watchword.ErrExpired
	case replySpent:
		return watchword.ErrSpent
	case replyMismatch:
		return watchword.ErrMismatch
	case replyVersion:
		return watchword.ErrConflict
	case replyExists:
		return watchword.ErrExists
	case replyInFlight:
		return watchword.ErrInFlight
	}
	return errUnexpectedReply
}

// wrapError returns an error of a script with the name of the step. It wraps watchword.ErrOutcomeUnknown if the script may have
// run. It does not contain texts of the server or of go-redis, which may repeat a command.
func wrapError(what string, err error) error {
	switch {
	case err == nil, errors.Is(err, watchword.ErrNotFound):
		return err
	case redis.HasErrorPrefix(err, "NOREPLICAS"):
		err = ErrTooFewReplicas
	case script.MayHaveRun(err) && !errors.Is(err, ErrTooFewReplicas), errors.Is(err, ErrNotReplicated):
		return fmt.Errorf("redis: %s: %w: %w", what, watchword.ErrOutcomeUnknown, describeError(err))
	}
	return fmt.Errorf("redis: %s: %w", what, describeError(err))
}

// describeError returns errors of this package unchanged, and the kind of any other error.
func describeError(err error) error {
	for _, own := range []error{ErrNotReplicated, ErrTooFewReplicas, errUnexpectedReply} {
		if errors.Is(err, own) {
			return err
		}
	}
	return script.Reason(err)
}
