package main

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/ratelimit"
)

// A storage holds the stores of challenges, limits and factors.
type storage struct {
	apps       map[string]appStorage                    // by id
	counters   delivery.Counters                        // of sent and verified messages
	factors    watchword.Factors                        // nil: nothing can be enrolled
	checkReady func(context.Context) error              // fails if the store is unavailable or its settings are refused
	warnings   func(context.Context) []string           // about unsafe settings of the store
	summary    string                                   // of the store, for people
	clock      func(context.Context) (time.Time, error) // the store's time, by which challenges expire
	closers    []func() error
}

// An appStorage holds the stores of one app's challenges and limits.
type appStorage struct {
	store  watchword.Store  // may be an outbox too
	outbox watchword.Outbox // that store, if it is an outbox; nil: messages are queued in this process
	limits ratelimit.Store
	events *storedEvents // nil: events wait in this process
}

// close closes all stores.
func (s *storage) close() error {
	var all []error
	for _, c := range s.closers {
		all = append(all, c())
	}
	return errors.Join(all...)
}

// closeSince closes the stores that a running service does not have; all of them if it is nil.
func (s *storage) closeSince(running *service) error {
	added := storage{closers: s.closers}
	if running != nil {
		added.closers = s.closers[len(running.storage.closers):]
	}
	return added.close()
}

// clone returns storage to which apps can be added.
func (s *storage) clone() storage {
	added := *s
	added.apps, added.closers = maps.Clone(s.apps), slices.Clone(s.closers)
	return added
}

// addApps makes the stores of the apps that have none. Others' stay as they are.
func (s *storage) addApps(settings settings, observer storeObserver) error {
	inMemory := newMemoryStorage(settings.apps)
	for _, a := range settings.apps {
		if _, exists := s.apps[a.id]; exists {
			continue
		}
		if settings.redis.Reveal() == memoryURL {
			s.apps[a.id] = inMemory.apps[a.id].withLimitsOf(s.apps)
			continue
		}
		app, closeApp, err := openAppStorage(settings, a.id, observer)
		if err != nil {
			return err
		}
		s.apps[a.id] = app
		s.closers = append(s.closers, closeApp)
	}
	return nil
}

// withLimitsOf returns the stores of an app, with limits in the memory that the others have theirs in.
func (s appStorage) withLimitsOf(others map[string]appStorage) appStorage {
	for _, other := range others {
		s.limits = other.limits
		break
	}
	return s
}
