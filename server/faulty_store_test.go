package server_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/watchword-auth/watchword"
)

// errConnectionRefused is the error of an unavailable store. Responses must not contain its text.
var errConnectionRefused = errors.New("dial tcp 10.0.0.7:6379: connection refused")

// A faultyStore fails as a test has set, and counts its calls.
type faultyStore struct {
	watchword.Store
	failAll, failUpdate               atomic.Bool // all methods fail; only Update fails
	loseCreateReply, loseAttemptReply atomic.Bool // Create or Attempt takes effect and its reply is lost
	calls                             atomic.Int64
	onAttempt                         func(ctx context.Context) // called by Attempt
	onPing                            func(ctx context.Context) error
}

func (s *faultyStore) countCall() error {
	s.calls.Add(1)
	if s.failAll.Load() {
		return errConnectionRefused
	}
	return nil
}

func (s *faultyStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if err := s.countCall(); err != nil {
		return err
	}
	err := s.Store.Create(ctx, e, out...)
	if s.loseCreateReply.Load() {
		return fmt.Errorf("create: %w", watchword.ErrOutcomeUnknown)
	}
	return err
}

func (s *faultyStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	if err := s.countCall(); err != nil {
		return watchword.Entry{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *faultyStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	if err := s.countCall(); err != nil {
		return watchword.Entry{}, err
	}
	if s.onAttempt != nil {
		s.onAttempt(ctx)
	}
	entry, err := s.Store.Attempt(ctx, id, g, b)
	if s.loseAttemptReply.Load() {
		return watchword.Entry{}, fmt.Errorf("attempt: %w", watchword.ErrOutcomeUnknown)
	}
	return entry, err
}

func (s *faultyStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	if err := s.countCall(); err != nil {
		return err
	}
	return s.Store.Close(ctx, id, c)
}

func (s *faultyStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if err := s.countCall(); err != nil || s.failUpdate.Load() {
		return errConnectionRefused
	}
	return s.Store.Update(ctx, e, out...)
}

func (s *faultyStore) Ping(ctx context.Context) error {
	switch {
	case s.failAll.Load():
		return errConnectionRefused
	case s.onPing != nil:
		return s.onPing(ctx)
	}
	return nil
}
