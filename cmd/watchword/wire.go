package main

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/store/memory"
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
func providers(box *inbox.Inbox) delivery.Providers {
	return delivery.Providers{
		"inbox":         box.Open,
		"webhook+https": webhook.Open,
		"webhook+http":  webhook.Open,
	}
}

func newInbox() *inbox.Inbox { return &inbox.Inbox{} }

// memoryURL keeps everything in the process, which must then be the only one.
const memoryURL = "memory:"

// A storage is where challenges and limits are kept. Close may be nil.
type storage struct {
	store  watchword.Store
	limits ratelimit.Store
	ping   func(context.Context) error
	close  func() error
}

// openStorage makes the stores that a URL names. Nothing is connected yet.
func openStorage(s settings) (storage, error) {
	url := s.redis.Reveal()
	if url == memoryURL {
		return storage{store: memory.New(memory.Config{}), limits: ratelimit.NewMemory(ratelimit.MemoryConfig{}),
			ping: func(context.Context) error { return nil }, close: func() error { return nil }}, nil
	}
	scheme, _, _ := strings.Cut(url, ":")
	_ = scheme
	return storage{}, errors.New("not a URL of Redis: redis://, rediss://, redis+sentinel:// or redis+cluster://")
}
