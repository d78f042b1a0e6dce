package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	devinbox "github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/delivery/smtp"
	"github.com/watchword-auth/watchword/delivery/twilio"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/ratelimit"
	redislimit "github.com/watchword-auth/watchword/ratelimit/redis"
	"github.com/watchword-auth/watchword/store/memory"
	redisstore "github.com/watchword-auth/watchword/store/redis"
	"github.com/watchword-auth/watchword/store/sql/postgres"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// This file is the one list of plug-ins: outside their own folders, strategies, senders and stores are named nowhere
// else. floors_test.go sees to that.

// strategies are the ways to prove that an app offers: those that are enrolled only where there is a place for factors.
func strategies(a appSettings, enrolled bool, log *slog.Logger) ([]watchword.Strategy, error) {
	tests := make([]otp.TestIdentity, len(a.codes.Test))
	for i, t := range a.codes.Test {
		tests[i] = otp.TestIdentity{Address: t.Address, Code: t.Code, Purposes: t.Purposes, Until: t.Until}
	}
	sent, errSent := otp.New(otp.Config{Length: a.codes.Length, Letters: a.codes.Letters, TestAddresses: tests, Logger: log})
	if !enrolled {
		return []watchword.Strategy{sent}, errSent
	}
	issuer := cmp.Or(a.name, a.id, "app")
	byTime, errTime := totp.New(totp.Config{Issuer: issuer})
	byCounter, errCounter := totp.NewHOTP(totp.HOTPConfig{Issuer: issuer})
	return []watchword.Strategy{sent, byTime, byCounter, recovery.New()}, errors.Join(errSent, errTime, errCounter)
}

// providers are the senders, by the scheme of the URL that configures one. The inbox is shared by all that open it.
func providers(box *inbox) delivery.Providers {
	return delivery.Providers{
		"inbox":         box.Open,
		"smtp":          smtp.Open,
		"smtps":         smtp.Open,
		"twilio":        twilio.Open,
		"webhook+https": webhook.Open,
		"webhook+http":  webhook.Open,
	}
}

// An inbox is where development mode looks at what would have been sent.
type inbox = devinbox.Inbox

func newInbox() *inbox { return &inbox{} }

// memoryURL keeps everything in the process, which must then be the only one.
const memoryURL = "memory:"

// A storage is where challenges and limits are kept, and what subjects have enrolled.
type storage struct {
	store   watchword.Store
	limits  ratelimit.Store
	factors watchword.Factors                        // nil: nothing can be enrolled
	ready   func(context.Context) error              // an error if it cannot be reached, or must not be used
	clock   func(context.Context) (time.Time, error) // by which challenges expire
	closers []func() error
}

func (s *storage) close() error {
	var all []error
	for _, c := range s.closers {
		all = append(all, c())
	}
	return errors.Join(all...)
}

// inMemory is the storage of one process, which forgets.
func inMemory() storage {
	return storage{
		store:  memory.New(memory.Config{}),
		limits: ratelimit.NewMemory(ratelimit.MemoryConfig{}),
		ready:  func(context.Context) error { return nil },
		clock:  func(context.Context) (time.Time, error) { return time.Now(), nil },
	}
}

// openStorage makes the stores of challenges and limits that a URL names. Nothing is connected yet. With an error it is
// memory, so that the rest can be checked.
func openStorage(s settings) (storage, error) {
	if s.redis.Reveal() == memoryURL {
		return inMemory(), nil
	}
	client, err := redisstore.Open(s.redis.Reveal())
	if err != nil {
		return inMemory(), err
	}
	limits, err := redislimit.New(client, "watchword")
	if err != nil {
		return inMemory(), errors.Join(err, client.Close())
	}
	store := redisstore.New(client, redisstore.Config{WaitReplicas: s.waitReplicas})
	return storage{
		store:   store,
		limits:  limits,
		ready:   store.CheckPolicy,
		clock:   func(ctx context.Context) (time.Time, error) { return client.Time(ctx).Result() },
		closers: []func() error{client.Close},
	}, nil
}

// A database opens factors and brings their schema up to date.
type database func(ctx context.Context) (factorsCloser, error)

type factorsCloser interface {
	watchword.Factors
	Close() error
}

// openDatabase finds out which database a URL names; nothing is opened yet.
func openDatabase(rawURL string) (database, error) {
	scheme, path, _ := strings.Cut(rawURL, "://")
	switch {
	case scheme == "sqlite" && path != "":
		return func(ctx context.Context) (factorsCloser, error) { return sqlite.Open(ctx, path) }, nil
	case scheme == "postgres" || scheme == "postgresql":
		return func(ctx context.Context) (factorsCloser, error) { return postgres.Open(ctx, rawURL) }, nil
	}
	return nil, errors.New("not a URL of a database: sqlite:///path or postgres://user:password@host/name")
}

func factorsInMemory() watchword.Factors { return &memory.Factors{} }
