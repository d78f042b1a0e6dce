package server_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/watchword-auth/watchword"
)

// errDown is what a store says that cannot be reached; it holds what must stay inside.
var errDown = errors.New("dial tcp 10.0.0.7:6379: connection refused")

// moody is a store that can be told to fail, and counts what it is asked.
type moody struct {
	watchword.Store
	down, update atomic.Bool // everything fails; only Update does
	deaf, lose   atomic.Bool // Create, or Attempt, does its work, and its reply is lost
	calls        atomic.Int64
	during       func(ctx context.Context) // called in Attempt
	ping         func(ctx context.Context) error
}

func (m *moody) ask() error {
	m.calls.Add(1)
	if m.down.Load() {
		return errDown
	}
	return nil
}

func (m *moody) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if err := m.ask(); err != nil {
		return err
	}
	err := m.Store.Create(ctx, e, out...)
	if m.deaf.Load() {
		return fmt.Errorf("create: %w", watchword.ErrOutcomeUnknown)
	}
	return err
}

func (m *moody) Get(ctx context.Context, id string) (watchword.Entry, error) {
	if err := m.ask(); err != nil {
		return watchword.Entry{}, err
	}
	return m.Store.Get(ctx, id)
}

func (m *moody) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	if err := m.ask(); err != nil {
		return watchword.Entry{}, err
	}
	if m.during != nil {
		m.during(ctx)
	}
	entry, err := m.Store.Attempt(ctx, id, g, b)
	if m.lose.Load() {
		return watchword.Entry{}, fmt.Errorf("attempt: %w", watchword.ErrOutcomeUnknown)
	}
	return entry, err
}

func (m *moody) Close(ctx context.Context, id string, c watchword.Closing) error {
	if err := m.ask(); err != nil {
		return err
	}
	return m.Store.Close(ctx, id, c)
}

func (m *moody) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if err := m.ask(); err != nil || m.update.Load() {
		return errDown
	}
	return m.Store.Update(ctx, e, out...)
}

func (m *moody) Ping(ctx context.Context) error {
	switch {
	case m.down.Load():
		return errDown
	case m.ping != nil:
		return m.ping(ctx)
	}
	return nil
}
