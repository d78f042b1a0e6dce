package delivery_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// traffic drives a PrefixBreaker on a clock of its own.
type traffic struct {
	t       *testing.T
	now     time.Time
	breaker *delivery.PrefixBreaker
	policy  watchword.AddressPolicy
	sender  watchword.Sender
	script  *script
	log     bytes.Buffer
	n       int
}

func newTraffic(t *testing.T, cfg delivery.PrefixBreakerConfig) *traffic {
	t.Helper()
	f := &traffic{t: t, now: time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC), script: &script{}}
	cfg.Now, cfg.Logger = func() time.Time { return f.now }, slog.New(slog.NewTextHandler(&f.log, nil))
	var err error
	if f.breaker, err = delivery.NewPrefixBreaker(cfg); err != nil {
		t.Fatal(err)
	}
	f.policy, f.sender = f.breaker.Policy(policy(t, delivery.Addresses{AllCountries: true})), f.breaker.Sender(f.script)
	return f
}

// send sends n challenges to the prefix over ten minutes; every each-th is approved, none for 0.
func (f *traffic) send(prefix string, n, each int) {
	for i := range n {
		f.n++
		id := fmt.Sprintf("ch_%d", f.n)
		_, _ = f.sender.Send(context.Background(), watchword.Message{ChallengeID: id, Channel: "sms", To: fmt.Sprintf("%s%04d", prefix, i)})
		if each > 0 && i%each == 0 {
			f.breaker.Event(context.Background(), watchword.Event{Type: watchword.EventApproved, ChallengeID: id})
		}
		f.now = f.now.Add(10 * time.Minute / time.Duration(n))
	}
}

func (f *traffic) refused(prefix string) bool {
	f.t.Helper()
	a, err := f.policy("sms", prefix+"0199")
	var problem *watchword.Error
	if err != nil && (!errors.As(err, &problem) || !errors.Is(err, watchword.ErrDestinationRefused) || problem.Reason != "prefix") || a.Value == "" {
		f.t.Fatalf("%+v, %v", a, err)
	}
	return err != nil
}

func TestPrefixBreaker(t *testing.T) {
	const pumped, other = "+1415555", "+1212555"
	for _, c := range []struct {
		name    string
		cfg     delivery.PrefixBreakerConfig
		each    int
		answers []error
		refused bool
		logged  bool
	}{
		{"nobody verifies", delivery.PrefixBreakerConfig{}, 0, nil, true, true},
		{"one in twenty verifies", delivery.PrefixBreakerConfig{}, 20, nil, true, true},
		{"one in eight verifies", delivery.PrefixBreakerConfig{}, 8, nil, false, false},
		{"one in eight is too few here", delivery.PrefixBreakerConfig{Percent: 20}, 8, nil, true, true},
		{"too few to judge", delivery.PrefixBreakerConfig{Sent: 500}, 0, nil, false, false},
		{"in shadow", delivery.PrefixBreakerConfig{Shadow: true}, 0, nil, false, true},
		{"nothing was sent", delivery.PrefixBreakerConfig{}, 0, times(100, errDown), false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newTraffic(t, c.cfg)
			f.script.answers = c.answers
			f.send(pumped, 100, c.each)
			if f.refused(pumped) {
				t.Error("judged while people may still be typing")
			}
			f.now = f.now.Add(10 * time.Minute)
			f.send(pumped, 1, 0)
			if f.refused(pumped) != c.refused || f.refused(other) {
				t.Errorf("refused %v, the other %v", f.refused(pumped), f.refused(other))
			}
			if logged := strings.Contains(f.log.String(), "prefix=+1415555"); logged != c.logged || strings.Contains(f.log.String(), "+14155550") {
				t.Errorf("log: %s", f.log.String())
			}
			if _, err := f.policy("", pumped+"0199"); err != nil {
				t.Errorf("the canonical form alone: %v", err)
			}
		})
	}
}

func TestPrefixBreakerForgets(t *testing.T) {
	const pumped = "+1415555"
	f := newTraffic(t, delivery.PrefixBreakerConfig{})
	f.send(pumped, 100, 0)
	f.now = f.now.Add(10 * time.Minute)
	f.send(pumped, 1, 0)
	if !f.refused(pumped) {
		t.Fatal("not refused")
	}
	f.now = f.now.Add(time.Hour)
	if f.refused(pumped) {
		t.Error("still refused after the pause")
	}
	// Forty twice are too few by themselves; between them the prefix is never quiet for a whole window.
	for _, step := range []struct {
		n     int
		pause time.Duration
	}{{40, 25 * time.Minute}, {1, 20 * time.Minute}, {1, 0}, {40, 15 * time.Minute}, {1, 0}} {
		f.send(pumped, step.n, 0)
		f.now = f.now.Add(step.pause)
	}
	if f.refused(pumped) {
		t.Error("counts what is older than the window")
	}
}

// A resend is no second challenge, and an approval counts once.
func TestPrefixBreakerCountsChallenges(t *testing.T) {
	f := newTraffic(t, delivery.PrefixBreakerConfig{Sent: 2, Percent: 100})
	m := watchword.Message{ChallengeID: "ch_1", Channel: "sms", To: "+14155550100"}
	for range 5 {
		_, _ = f.sender.Send(context.Background(), m)
	}
	f.now = f.now.Add(15 * time.Minute)
	f.send("+1415555", 1, 1)
	if f.refused("+1415555") {
		t.Error("five messages of one challenge count as five")
	}
}

func TestPrefixBreakerRace(t *testing.T) {
	b, err := delivery.NewPrefixBreaker(delivery.PrefixBreakerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	sender, judged := b.Sender(&script{}), b.Policy(policy(t, delivery.Addresses{}))
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			for i := range 100 {
				id := fmt.Sprintf("ch_%d_%d", g, i)
				_, _ = sender.Send(context.Background(), watchword.Message{ChallengeID: id, Channel: "sms", To: "+14155550123"})
				b.Event(context.Background(), watchword.Event{Type: watchword.EventApproved, ChallengeID: id})
				if _, err := judged("sms", "+14155550123"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestPrefixBreakerConfiguration(t *testing.T) {
	for _, cfg := range []delivery.PrefixBreakerConfig{{Window: time.Second}, {Sent: -1}, {Percent: 101}, {Pause: -1}} {
		if _, err := delivery.NewPrefixBreaker(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
		}
	}
}
