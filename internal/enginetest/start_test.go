package enginetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func TestRotationKeepsChallengesAndBudgets(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	code := k.code(s.ID)
	rotated := k.newNode(func(c *watchword.Config) { c.Keys = []watchword.Key{newTestKey(t, "k2"), newTestKey(t, "k1")} })
	out := k.outbox.last(s.ID)
	m, err := rotated.ComposeMessage(context.Background(), watchword.Outgoing{ChallengeID: out.ChallengeID, Send: 1})
	if err != nil || m.Code.Reveal() != code {
		t.Fatalf("the code is derived again under its old key: %v", err)
	}
	for range 5 {
		_, _ = check(rotated, s.ID, wrongCode(code))
	}
	s2, err := rotated.Start(context.Background(), startByEmail())
	if err != nil {
		t.Fatal(err)
	}
	_, err = check(rotated, s2.ID, wrongCode("000000"))
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	_, err = check(rotated, s2.ID, wrongCode("000000"))
	k.requireCode(err, watchword.ErrTooManyGuesses) // a rotation does not reset the budget
	k.clock.advance(time.Hour)
	s = k.start(startByEmail())
	if _, err := check(rotated, s.ID, k.code(s.ID)); err != nil {
		t.Fatal(err)
	}
}

func TestNewReportsAllProblemsAtOnce(t *testing.T) {
	_, err := watchword.New(watchword.Config{App: "Shop!", Lifetime: time.Hour, ReceiptLifetime: time.Hour, Cooldown: time.Millisecond})
	if err == nil {
		t.Fatal("an empty configuration was accepted")
	}
	for _, part := range []string{"App:", "Issuer:", "Store:", "Strategies:", "Keys:", "Identity:", "Lifetime:", "ReceiptLifetime:", "Cooldown:"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s is not reported in: %v", part, err)
		}
	}
	if _, err := watchword.NewKey("short", make([]byte, 31)); err == nil {
		t.Error("a key of 31 bytes was accepted")
	}
	k := newKit(t)
	for name, change := range map[string]func(*watchword.Config){
		"guessable": func(c *watchword.Config) { c.Tries = 11 },
		"no outbox": func(c *watchword.Config) { c.Outbox = nil },
		"two keys":  func(c *watchword.Config) { c.Keys = append(c.Keys, c.Keys[0]) },
		"twice":     func(c *watchword.Config) { c.Strategies = append(c.Strategies, c.Strategies[0]) },
	} {
		cfg := k.config
		cfg.Keys, cfg.Strategies = slices.Clone(cfg.Keys), slices.Clone(cfg.Strategies)
		change(&cfg)
		if _, err := watchword.New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestStartRefusesInvalidRequests(t *testing.T) {
	k := newKit(t, func(c *watchword.Config) { c.Purposes = []string{"sign_in"} })
	for field, change := range map[string]func(*watchword.StartRequest){
		"strategy":          func(r *watchword.StartRequest) { r.Strategy = "riddle" },
		"purpose":           func(r *watchword.StartRequest) { r.Purpose = "mfa" },
		"channel":           func(r *watchword.StartRequest) { r.Channel = "pigeon" },
		"to":                func(r *watchword.StartRequest) { r.To = "" },
		"subject":           func(r *watchword.StartRequest) { r.Subject = "a\nb" },
		"locale":            func(r *watchword.StartRequest) { r.Locale = "../en" },
		"nonce":             func(r *watchword.StartRequest) { r.Nonce = strings.Repeat("n", 256) },
		"client.ip":         func(r *watchword.StartRequest) { r.Client.IP = "300.1.1.1" },
		"client.user_agent": func(r *watchword.StartRequest) { r.Client.UserAgent = "a\x1b[31m" },
		"transaction":       func(r *watchword.StartRequest) { r.Transaction = map[string]string{"a": "\u2028"} },
		"metadata":          func(r *watchword.StartRequest) { r.Metadata = map[string]string{"": "x"} },
	} {
		req := startByEmail()
		change(&req)
		_, err := k.Start(context.Background(), req)
		e := k.requireCode(err, watchword.ErrInvalidRequest)
		if len(e.Fields) != 1 || e.Fields[0].Field != field {
			t.Errorf("%s: %+v", field, e.Fields)
		}
	}
	if len(k.outbox.list()) != 0 {
		t.Fatal("something was sent")
	}
}

func TestRepeatedStartWithSeedReturnsSameChallenge(t *testing.T) {
	k := newKit(t)
	req := startByEmail()
	req.Seed = []byte("the request's own")
	first, repeated := k.start(req), k.start(req)
	if first.ID != repeated.ID || first.Handle.Reveal() != repeated.Handle.Reveal() || len(k.outbox.list()) != 1 {
		t.Fatalf("%s and %s, %d messages", first.ID, repeated.ID, len(k.outbox.list()))
	}
}

func TestRepeatedStartsQueueRefusedMessageOnce(t *testing.T) {
	k := newKit(t)
	req := startByEmail()
	req.Seed = []byte("of one idempotency key")
	k.outbox.setError(errors.New("full"))
	_, err := k.Start(context.Background(), req)
	k.requireCode(err, watchword.ErrUnavailable)
	k.outbox.setError(nil)
	got := runConcurrently(20, func(int) error { _, err := k.Start(context.Background(), req); return err })
	if got[""] != 20 || len(k.outbox.list()) != 1 {
		t.Fatalf("outcomes: %v, %d messages", got, len(k.outbox.list()))
	}
	if k.code(k.outbox.list()[0].ChallengeID) == "" {
		t.Error("it has no code")
	}
}

func TestStartRefusesZoneAndLongTransaction(t *testing.T) {
	k := newKit(t)
	for name, change := range map[string]func(*watchword.StartRequest){
		"zone": func(r *watchword.StartRequest) { r.Client.IP = "fe80::1%<b>\x1b[31m" },
		"a transaction that no receipt could repeat": func(r *watchword.StartRequest) {
			r.Transaction = map[string]string{}
			for _, c := range "abcdefghijklmnop" {
				r.Transaction[string(c)] = strings.Repeat("<", 250)
			}
		},
	} {
		req := startByEmail()
		change(&req)
		_, err := k.Start(context.Background(), req)
		if !errors.Is(err, watchword.ErrInvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*watchword.Config){
		"no budget":    func(c *watchword.Config) { c.Budget = []watchword.Window{} },
		"empty window": func(c *watchword.Config) { c.Budget = []watchword.Window{{Max: 0, Per: time.Hour}} },
		"many sends":   func(c *watchword.Config) { c.Sends = 101 },
	} {
		cfg := k.config
		change(&cfg)
		if _, err := watchword.New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
