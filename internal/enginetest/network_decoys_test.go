package enginetest_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// remoteStore and remoteFactors delay every call like a network.
type remoteStore struct {
	watchword.Store
	lag time.Duration
}

func (s *remoteStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	time.Sleep(s.lag)
	return s.Store.Create(ctx, e, out...)
}

func (s *remoteStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	time.Sleep(s.lag)
	return s.Store.Get(ctx, id)
}

func (s *remoteStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	time.Sleep(s.lag)
	return s.Store.Update(ctx, e, out...)
}

func (s *remoteStore) Attempt(ctx context.Context, id string, g []watchword.Guess, b watchword.Budget) (watchword.Entry, error) {
	time.Sleep(s.lag)
	return s.Store.Attempt(ctx, id, g, b)
}

func (s *remoteStore) Close(ctx context.Context, id string, c watchword.Closing) error {
	time.Sleep(s.lag)
	return s.Store.Close(ctx, id, c)
}

type remoteFactors struct {
	watchword.Factors
	lag time.Duration
}

func (f *remoteFactors) List(ctx context.Context, app, subject string) ([]watchword.SealedFactor, error) {
	time.Sleep(f.lag)
	return f.Factors.List(ctx, app, subject)
}

// With a delay of some milliseconds to its stores, a decoy takes as long as a real challenge to start, to read and to show.
func TestDecoyTakesAsLongOverANetwork(t *testing.T) {
	if os.Getenv("WATCHWORD_TIMING") == "" {
		t.Skip("measures time: WATCHWORD_TIMING=1")
	}
	const lag = 4 * time.Millisecond
	k := newFactorKit(t, func(c *watchword.Config) { c.NoBudget = true })
	node := k.newNode(func(c *watchword.Config) {
		c.Store, c.Factors = &remoteStore{c.Store, lag}, &remoteFactors{c.Factors, lag}
	})
	ctx := context.Background()
	real := watchword.StartRequest{Strategy: "totp", Purpose: "sign_in", Subject: subject}
	for name, f := range map[string]func(req watchword.StartRequest) time.Duration{
		"start": func(req watchword.StartRequest) time.Duration {
			began := time.Now()
			if _, err := node.Start(ctx, req); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		},
		"status": func(req watchword.StartRequest) time.Duration {
			id := k.start(req).ID
			began := time.Now()
			if v, err := node.Status(ctx, id); err != nil || v.Status != watchword.Pending {
				t.Fatal(err)
			}
			return time.Since(began)
		},
		"page": func(req watchword.StartRequest) time.Duration {
			s := k.start(withPage(req))
			cookie, err := k.OpenPage(ctx, s.ID, s.Ticket.Reveal(), nil)
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if _, err := node.ViewPage(ctx, s.ID, cookie.Reveal()); err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		},
	} {
		var a, b []time.Duration
		for n := range 400 {
			measure := []func(){
				func() { a = append(a, f(real)) },
				func() { b = append(b, f(decoyStart("totp", fmt.Sprint("nobody ", n)))) },
			}
			measure[n%2]()
			measure[1-n%2]()
		}
		auc, apart := areaUnderCurve(a, b), median(b).Seconds()/median(a).Seconds()-1
		t.Logf("%s: real subject %s, a decoy %s (medians, %+.1f %%), AUC %.3f", name, median(a), median(b), 100*apart, auc)
		if max(auc, 1-auc) > 0.55 || max(apart, -apart) > 0.05 {
			t.Errorf("%s: a decoy can be distinguished", name)
		}
	}
}
