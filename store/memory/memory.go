// Package memory keeps challenges, guess budgets and factors in the memory of one process: the default of a program
// that embeds watchword, of development and of tests. Nothing survives the process, and no other process sees it.
//
// A Store is divided into shards by the first part of an id, so entries and their budget lie behind one lock and each
// method is one atomic step. What is over is forgotten by the calls that come after it; there is no goroutine and
// nothing to close. The number of entries and budgets is bounded, and a store that is full of live ones refuses new
// ones with ErrFull: evicting would hand out fresh tries or lose a challenge that somebody is about to answer.
package memory

import (
	"context"
	"errors"
	"hash/maphash"
	"strings"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
)

// ErrFull means that the Store holds as many live entries or budgets as its Config allows. Nothing was changed.
var ErrFull error = fullError{}

type fullError struct{}

// Error says which store it is.
func (fullError) Error() string { return "memory: " + fullError{}.Reason() }

// Reason is for everybody (watchword.Pinger).
func (fullError) Reason() string { return "the store is full" }

// DefaultMaxEntries is how many entries a Store keeps unless it is told otherwise.
const DefaultMaxEntries = 200_000

// Config bounds a Store. Zero values are the defaults.
type Config struct {
	MaxEntries int              // by default DefaultMaxEntries; one of more than a kilobyte counts once for each that it begins
	MaxBudgets int              // groups with wrong answers to remember, by default twice MaxEntries
	Clock      func() time.Time // by default time.Now; it is called while a shard is locked
}

// shardCount is enough that goroutines on the cores of one machine seldom meet.
const shardCount = 64

// A Store is a watchword.Store in memory. It is safe for concurrent use.
type Store struct {
	clock      func() time.Time
	maxEntries int64
	maxBudgets int64
	entries    atomic.Int64
	budgets    atomic.Int64
	seed       maphash.Seed
	gate       probe.Gate
	shards     [shardCount]shard
}

var (
	_ watchword.Store  = (*Store)(nil)
	_ watchword.Pinger = (*Store)(nil)
)

// New makes an empty Store.
func New(cfg Config) *Store {
	if cfg.MaxEntries <= 0 {
		cfg.MaxEntries = DefaultMaxEntries
	}
	if cfg.MaxBudgets <= 0 {
		cfg.MaxBudgets = 2 * cfg.MaxEntries
	}
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	s := &Store{clock: cfg.Clock, maxEntries: int64(cfg.MaxEntries), maxBudgets: int64(cfg.MaxBudgets), seed: maphash.MakeSeed()}
	for i := range s.shards {
		s.shards[i].init(s)
	}
	return s
}

// Create implements watchword.Store; ErrFull if MaxEntries are alive. The Store is no outbox, so out is not looked at.
func (s *Store) Create(ctx context.Context, e watchword.Entry, _ ...watchword.Outgoing) error {
	sh, err := s.shardOf(ctx, e.ID, "")
	if err != nil {
		return err
	}
	r := newRecord(e)
	if err = sh.create(r); errors.Is(err, ErrFull) && s.sweep() {
		err = sh.create(r)
	}
	return err
}

// Ping implements watchword.Pinger: ErrFull while nothing can be created. It looks at most once a second.
func (s *Store) Ping(ctx context.Context) error {
	return s.gate.Run(ctx, func(context.Context) error {
		if s.entries.Load() >= s.maxEntries && !s.sweep() {
			return ErrFull
		}
		return nil
	})
}

// Get implements watchword.Store.
func (s *Store) Get(ctx context.Context, id string) (watchword.Entry, error) {
	sh, err := s.shardOf(ctx, id, "")
	if err != nil {
		return watchword.Entry{}, err
	}
	return sh.get(id)
}

// Attempt implements watchword.Store; ErrFull if this would be the first charge of one budget too many.
func (s *Store) Attempt(ctx context.Context, id string, guesses []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	sh, err := s.shardOf(ctx, id, b.Key)
	if err != nil {
		return watchword.Entry{}, err
	}
	for _, g := range guesses {
		if g.State != watchword.StateApproved && g.State != watchword.StateLocked {
			return watchword.Entry{}, errors.New("memory: a guess approves or locks")
		}
	}
	e, err := sh.attempt(id, guesses, b)
	if errors.Is(err, ErrFull) && s.sweep() {
		e, err = sh.attempt(id, guesses, b)
	}
	return e, err
}

// Close implements watchword.Store.
func (s *Store) Close(ctx context.Context, id string, c watchword.Closing) error {
	sh, err := s.shardOf(ctx, id, c.Clear)
	if err != nil {
		return err
	}
	if c.State == watchword.StatePending {
		return errors.New("memory: a closing leaves the pending state")
	}
	return sh.close(id, c)
}

// Update implements watchword.Store; ErrFull if the entry has grown and that is too much. The Store is no outbox, so out is not
// looked at.
func (s *Store) Update(ctx context.Context, e watchword.Entry, _ ...watchword.Outgoing) error {
	sh, err := s.shardOf(ctx, e.ID, "")
	if err != nil {
		return err
	}
	if err = sh.update(e); errors.Is(err, ErrFull) && s.sweep() {
		err = sh.update(e)
	}
	return err
}

// shardOf finds the shard of an entry and its budget, which must begin with the same part as the entry's id.
func (s *Store) shardOf(ctx context.Context, id, budget string) (*shard, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	part, _, _ := strings.Cut(id, ".")
	if budget != "" {
		if other, _, _ := strings.Cut(budget, "."); other != part {
			return nil, errors.New("memory: the budget belongs to another group than the entry")
		}
	}
	return &s.shards[maphash.String(s.seed, part)%shardCount], nil
}

// sweep forgets everything that is over, in every shard, and reports whether that was anything.
func (s *Store) sweep() (found bool) {
	for i := range s.shards {
		if s.shards[i].sweep() {
			found = true
		}
	}
	return found
}

// reserve counts so many more, unless that would be too many.
func reserve(count *atomic.Int64, more, most int64) bool {
	if count.Add(more) > most && more > 0 {
		count.Add(-more)
		return false
	}
	return true
}
