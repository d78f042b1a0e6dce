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

// The letters with which scripts begin their answers.
const (
	won      = 'w'
	closed   = 'c'
	expired  = 'x'
	spent    = 's'
	budget   = 'b'
	mismatch = 'm'
	version  = 'v'
	exists   = 'e'
	inFlight = 'f'
	damaged  = 'd'
)

// lost stands before the letter where something damaged was replaced.
const lost = "!"

// What Config.Damaged is told.
const (
	entryKind  = "entry"
	budgetKind = "budget"
)

// Create implements watchword.Store with create.lua. The Store is no outbox, so out is not looked at.
func (s *Store) Create(ctx context.Context, e watchword.Entry, _ ...watchword.Outgoing) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	value, err := encode(e)
	if err != nil {
		return err
	}
	until := max((e.KeepUntil.UnixMicro()+999)/1000, 1)
	reply, err := text(s.create.Run(ctx, s.clocks, s.client, []string{s.entryKey(e.ID)}, value, until))
	if err != nil {
		return failed("create", err)
	}
	reply, replaced := strings.CutPrefix(reply, lost)
	if replaced {
		s.damaged(entryKind)
	}
	return s.errorOf(reply)
}

// Get implements watchword.Store with one GET.
func (s *Store) Get(ctx context.Context, id string) (watchword.Entry, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	value, err := text(script.Do(ctx, s.client, "get", s.entryKey(id)))
	if errors.Is(err, watchword.ErrNotFound) {
		return watchword.Entry{}, err
	}
	if redis.HasErrorPrefix(err, "WRONGTYPE") {
		return watchword.Entry{}, s.errorOf(string(damaged))
	}
	if err != nil && !errors.Is(err, errDamaged) {
		return watchword.Entry{}, fmt.Errorf("redis: get: %w", cause(err))
	}
	e, err := decode(id, value)
	if err != nil {
		return watchword.Entry{}, s.errorOf(string(damaged))
	}
	return e, nil
}

// Attempt implements watchword.Store with attempt.lua.
func (s *Store) Attempt(ctx context.Context, id string, guesses []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	args, err := attemptArgs(guesses, b)
	if err != nil {
		return watchword.Entry{}, err
	}
	keys, err := s.keys(id, b.Key)
	if err != nil {
		return watchword.Entry{}, err
	}
	reply, err := s.run(ctx, s.attempt, keys, closes, args...)
	if err != nil {
		return watchword.Entry{}, failed("attempt", err)
	}
	reply, refilled := strings.CutPrefix(reply, lost)
	if refilled {
		s.damaged(budgetKind)
	}
	switch reply[0] {
	case won:
		return decode(id, reply[1:])
	case damaged:
		return watchword.Entry{}, s.errorOf(reply)
	}
	if len(reply) < 1+countersSize {
		return watchword.Entry{}, errReply
	}
	e := decodeCounters(id, []byte(reply[1:1+countersSize]))
	e.Settled = int(binary.BigEndian.Uint16([]byte(reply[countersSize-1:])))
	if wait := reply[1+countersSize:]; reply[0] == budget && len(wait) == 8 {
		return e, &watchword.BudgetError{RetryAfter: time.Duration(binary.BigEndian.Uint64([]byte(wait))) * time.Microsecond}
	}
	return e, s.errorOf(reply)
}

func attemptArgs(guesses []watchword.Guess, b watchword.Budget) ([]any, error) {
	if b.Key == "" {
		b.Limits = nil
	}
	args := make([]any, 0, 4+2*len(b.Limits)+3*len(guesses))
	args = append(args, number(b.FirstFree), b.Repeats, len(b.Limits))
	for _, w := range b.Limits {
		args = append(args, w.Max, (w.Per + time.Microsecond - 1).Microseconds())
	}
	for _, g := range guesses {
		if g.State != watchword.StateApproved && g.State != watchword.StateLocked {
			return nil, errors.New("redis: a guess approves or locks")
		}
		if len(g.Mark) > maxMark {
			return nil, errTooLong
		}
		args = append(args, g.Digest, int(g.State), g.Mark)
	}
	return args, nil
}

// closes reports whether an attempt ended the entry.
func closes(reply string) bool {
	reply = strings.TrimPrefix(reply, lost)
	switch reply[0] {
	case won, mismatch:
		at := 1 // state follows the letter, or the letter and the format
		if reply[0] == won {
			at = 2
		}
		return len(reply) > at && watchword.State(reply[at]) != watchword.StatePending
	}
	return false
}

// Close implements watchword.Store with close.lua.
func (s *Store) Close(ctx context.Context, id string, c watchword.Closing) error {
	if c.State == watchword.StatePending {
		return errors.New("redis: a closing leaves the pending state")
	}
	if len(c.Mark) > maxMark {
		return errTooLong
	}
	keys, err := s.keys(id, c.Clear)
	if err != nil {
		return err
	}
	before := int64(math.MaxInt64)
	if !c.Before.IsZero() {
		before = c.Before.UnixMicro()
	}
	reply, err := s.run(ctx, s.closing, keys, succeeded, int(c.State), c.Mark, number(c.Sealed != nil), c.Sealed,
		before, number(c.Settles), c.Idle.Microseconds())
	if err != nil {
		return failed("close", err)
	}
	return s.errorOf(reply)
}

// Update implements watchword.Store with update.lua. The Store is no outbox, so out is not looked at.
func (s *Store) Update(ctx context.Context, e watchword.Entry, _ ...watchword.Outgoing) error {
	digests, err := encodeDigests(e.Digests)
	if err != nil {
		return err
	}
	was := binary.BigEndian.AppendUint64(nil, uint64(e.Version))
	reply, err := s.run(ctx, s.update, []string{s.entryKey(e.ID)}, succeeded, was, digests, e.Sealed, int(e.State))
	if err != nil {
		return failed("update", err)
	}
	return s.errorOf(reply)
}

// number is a flag as scripts read it.
func number(flag bool) int {
	if flag {
		return 1
	}
	return 0
}

func succeeded(reply string) bool { return reply[0] == won }

// keys are the entry's and its budget's. A budget of another group may lie on another node.
func (s *Store) keys(id, budget string) ([]string, error) {
	if budget == "" {
		return []string{s.entryKey(id)}, nil
	}
	if group(id) != group(budget) {
		return nil, errors.New("redis: the budget belongs to another group than the entry")
	}
	return []string{s.entryKey(id), s.budgetKey(budget)}, nil
}

// run runs a script and, when that is asked for and its reply says that it wrote, waits for replicas.
func (s *Store) run(ctx context.Context, sc script.Timed, keys []string, wrote func(reply string) bool, args ...any) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if s.waitReplicas > 0 {
		return s.runAndWait(ctx, sc, keys, wrote, args...)
	}
	return text(sc.Run(ctx, s.clocks, s.client, keys, args...))
}

// text is a reply that is a string with something in it. Nothing is an entry that there is not.
func text(reply any, err error) (string, error) {
	if errors.Is(err, redis.Nil) {
		return "", watchword.ErrNotFound
	}
	if err != nil {
		return "", err
	}
	s, ok := reply.(string)
	switch {
	case !ok:
		return "", errReply
	case s == "":
		return "", errDamaged
	}
	return s, nil
}

// errorOf is the error that the letter of a reply stands for; nil if the step was taken. What is damaged is reported.
func (s *Store) errorOf(reply string) error {
	switch reply[0] {
	case damaged:
		s.damaged(entryKind)
		return watchword.ErrNotFound
	case won:
		return nil
	case closed:
		return watchword.ErrClosed
	case expired:
		return watchword.ErrExpired
	case spent:
		return watchword.ErrSpent
	case mismatch:
		return watchword.ErrMismatch
	case version:
		return watchword.ErrConflict
	case exists:
		return watchword.ErrExists
	case inFlight:
		return watchword.ErrInFlight
	}
	return errReply
}

// failed says which step could not be taken, or may have been, and why, without what the server or go-redis says of it,
// which may repeat a command.
func failed(what string, err error) error {
	switch {
	case err == nil, errors.Is(err, watchword.ErrNotFound):
		return err
	case redis.HasErrorPrefix(err, "NOREPLICAS"):
		err = ErrTooFewReplicas
	case script.MayHaveRun(err) && !errors.Is(err, ErrTooFewReplicas), errors.Is(err, ErrNotReplicated):
		return fmt.Errorf("redis: %s: %w: %w", what, watchword.ErrOutcomeUnknown, cause(err))
	}
	return fmt.Errorf("redis: %s: %w", what, cause(err))
}

// cause is an error of our own as it is; of any other one it is the kind.
func cause(err error) error {
	for _, own := range []error{ErrNotReplicated, ErrTooFewReplicas, errReply} {
		if errors.Is(err, own) {
			return err
		}
	}
	return script.Reason(err)
}
