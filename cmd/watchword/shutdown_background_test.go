package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/store/memory"
)

// An unwritableStore creates no entries, so that starts are refunded.
type unwritableStore struct{ watchword.Store }

func (unwritableStore) Create(context.Context, watchword.Entry, ...watchword.Outgoing) error {
	return errors.New("connection refused")
}

// A slowRefunder takes a while to refund, and notes that it has.
type slowRefunder struct{ refunded atomic.Bool }

func (*slowRefunder) Take(context.Context, ...watchword.Bucket) error { return nil }
func (*slowRefunder) TakeNamed(context.Context, string, ...watchword.Bucket) error {
	return nil
}
func (r *slowRefunder) Refund(context.Context, string, ...watchword.Bucket) error {
	time.Sleep(300 * time.Millisecond)
	r.refunded.Store(true)
	return nil
}

// What an engine does after its answer, such as refunding a start that failed, is done before the server ends.
func TestShutdownAwaitsWhatEnginesDoAfterAnswers(t *testing.T) {
	t.Parallel()
	codes, errCodes := otp.New(otp.Config{})
	addresses, errAddresses := delivery.NewAddressPolicy(delivery.Addresses{})
	ring, errRing := watchword.NewKey("1", make([]byte, 32))
	identity, errIdentity := watchword.NewKey("identity", make([]byte, 32))
	if err := errors.Join(errCodes, errAddresses, errRing, errIdentity); err != nil {
		t.Fatal(err)
	}
	limits := &slowRefunder{}
	engine, err := watchword.New(watchword.Config{App: "shop", Issuer: "https://verify.example.com", Keys: []watchword.Key{ring}, Identity: identity,
		Store: unwritableStore{memory.New(memory.Config{})}, Outbox: delivery.NewQueue(1, nil), Starts: limits, Strategies: []watchword.Strategy{codes},
		Addresses: addresses, Channels: []string{"email"}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = engine.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Channel: "email", To: "ann@example.com", Purpose: "sign_in"})
	if !errors.Is(err, watchword.ErrUnavailable) {
		t.Fatalf("start: %v", err)
	}
	p := &serverProcess{log: slog.New(slog.DiscardHandler)}
	p.service.Store(&service{engines: []*watchword.Engine{engine}})
	p.shutdown(&http.Server{})
	if !limits.refunded.Load() {
		t.Error("the server ended before the start was refunded")
	}
}
