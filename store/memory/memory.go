// Package memory stores challenges, guess budgets and factors in the memory of one process, for programs that embed watchword,
// for development and for tests. All data is lost when the process ends, and other processes do not see it.
//
// A Store is divided into shards by the first part of an id. An entry and its budget are in the same shard, behind one lock, so
// each method is atomic. Expired entries and budgets are removed by later calls; there is no goroutine and nothing to close.
// The number of entries and budgets is limited. A full Store returns ErrFull for new ones and never evicts live ones,
// because that would give an attacker new tries or lose a pending challenge.
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

// ErrFull means that the Store has as many live entries or budgets as its Config allows. Nothing was changed.
var ErrFull error = fullError{}

type fullError struct{}

// Error returns the reason with the name of the package.
func (fullError) Error() string { return "memory: " + fullError{}.Reason() }

// Reason returns the text that readiness may show to everybody; see watchword.Pinger.
func (fullError) Reason() string { return "the store is full" }

// DefaultMaxEntries is the default of Config.MaxEntries.
const DefaultMaxEntries = 200_000

// Config configures a Store.
type Config struct {
	MaxEntries int              // default DefaultMaxEntries; an entry counts once for each KiB that it begins
	MaxBudgets int              // default twice MaxEntries
	Clock      func() time.Time // default time.Now; called while a shard is locked
}

// shardCount is large enough that goroutines seldom contend for a lock.
const shardCount = 64

// A Store implements watchword.Store and watchword.Pinger. It is safe for concurrent use.
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

// New returns an empty Store.
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

// Create implements watchword.Store. It returns ErrFull if there are MaxEntries live entries. It ignores the messages, because
// a Store is no outbox.
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

// Ping implements watchword.Pinger. It returns ErrFull while no entry can be created. It checks at most once a second and
// otherwise returns the last result.
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

// Attempt implements watchword.Store. It returns ErrFull if there are MaxBudgets budgets and this attempt needs a new one.
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

// Update implements watchword.Store. It returns ErrFull if the entry has grown and the Store is full. It ignores the messages,
// because a Store is no outbox.
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

// shardOf returns the shard of an entry and its budget, whose key must begin with the same part as the entry's id.
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

// sweep removes everything that has expired, in every shard, and reports whether there was anything.
func (s *Store) sweep() (found bool) {
	for i := range s.shards {
		if s.shards[i].sweep() {
			found = true
		}
	}
	return found
}

// reserve adds more to count, unless the result would exceed most. A negative more is always added.
func reserve(count *atomic.Int64, more, most int64) bool {
	if count.Add(more) > most && more > 0 {
		count.Add(-more)
		return false
	}
	return true
}
