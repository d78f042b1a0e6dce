package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	devinbox "github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/delivery/twilio"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/ratelimit"
	redislimit "github.com/watchword-auth/watchword/ratelimit/redis"
	"github.com/watchword-auth/watchword/store/memory"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// This file is the one list of plug-ins: outside their own folders, strategies, senders and stores are named nowhere
// else. floors_test.go sees to that.

// strategies are the ways to prove that an app offers.
func strategies(a appSettings, log *slog.Logger) ([]watchword.Strategy, error) {
	tests := make([]otp.TestIdentity, len(a.codes.Test))
	for i, t := range a.codes.Test {
		tests[i] = otp.TestIdentity{Address: t.Address, Code: t.Code, Purposes: t.Purposes, Until: t.Until}
	}
	sent, err := otp.New(otp.Config{Length: a.codes.Length, Letters: a.codes.Letters, TestAddresses: tests, Logger: log})
	if err != nil {
		return nil, err
	}
	return []watchword.Strategy{sent}, nil
}

// providers are the senders, by the scheme of the URL that configures one. The inbox is shared by all that open it.
func providers(box *inbox) delivery.Providers {
	return delivery.Providers{
		"inbox":         box.Open,
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

// A storage is where challenges and limits are kept.
type storage struct {
	store  watchword.Store
	limits ratelimit.Store
	ready  func(context.Context) error              // an error if it cannot be reached, or must not be used
	clock  func(context.Context) (time.Time, error) // whose time it goes by
	close  func() error
}

// openStorage makes the stores that a URL names. Nothing is connected yet. With an error it is memory, so that the rest
// can be checked.
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
		store:  store,
		limits: limits,
		ready:  store.CheckPolicy,
		clock:  func(ctx context.Context) (time.Time, error) { return client.Time(ctx).Result() },
		close:  client.Close,
	}, nil
}

func inMemory() storage {
	return storage{
		store:  memory.New(memory.Config{}),
		limits: ratelimit.NewMemory(ratelimit.MemoryConfig{}),
		ready:  func(context.Context) error { return nil },
		clock:  func(context.Context) (time.Time, error) { return time.Now(), nil },
		close:  func() error { return nil },
	}
}
