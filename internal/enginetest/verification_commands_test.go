package enginetest_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/ratelimit"
	redislimit "github.com/watchword-auth/watchword/ratelimit/redis"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// A commandCounter counts the commands that clients send.
type commandCounter struct{ n atomic.Int32 }

func (c *commandCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commandCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.n.Add(1)
		return next(ctx, cmd)
	}
}

func (c *commandCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.n.Add(int32(len(cmds)))
		return next(ctx, cmds)
	}
}

// A start with its first challenge takes at most 4 commands of Redis, the limits included, a check 3, and a redeem 2. A check by a
// strategy that evaluates the answer itself takes one more, as that of a challenge does. Canceling the other challenges comes after
// the answer. Queuing the events takes no more.
func TestCommandsOfAVerificationOnRedis(t *testing.T) {
	t.Run("without events", func(t *testing.T) { testCommandsOfVerification(t, false) })
	t.Run("with events", func(t *testing.T) { testCommandsOfVerification(t, true) })
}

func testCommandsOfVerification(t *testing.T, queuesEvents bool) {
	server := redistest.Start(t)
	commands := &commandCounter{}
	client := server.Client(t)
	client.AddHook(commands)
	counts, err := redislimit.New(client, redislimit.Config{Prefix: "limits"})
	if err != nil {
		t.Fatal(err)
	}
	limits, err := ratelimit.New(counts, ratelimit.DefaultRules(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	store := redisstore.New(client, redisstore.Config{})
	outbox, err := redisstore.NewOutbox(store, redisstore.OutboxConfig{App: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	keys := &scriptedVerifier{verify: acceptAll, properties: watchword.StrategyProperties{Tries: 1, Ask: watchword.AskKey}}
	k := &verificationKit{&factorKit{kit: newKit(t, func(c *watchword.Config) {
		c.Clock, c.Store, c.Starts, c.Strategies = time.Now, store, limits, append(c.Strategies, keys)
		if queuesEvents {
			c.Store, c.Outbox, c.Subscribed = outbox, nil, func(string) bool { return true }
		}
	})}}
	if err := k.ImportFactor(t.Context(), watchword.Factor{ID: "fa_key", Subject: subject, Strategy: "scripted", Data: []byte("key")}, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	req := verificationOf(smsMethod, keyMethod)
	req.Open = watchword.OpenFirst
	var v *watchword.StartedVerification
	code, codeOf := "", func() string {
		m, err := k.ComposeMessage(t.Context(), watchword.Outgoing{ChallengeID: v.Challenge.ID, Send: 1})
		if err != nil {
			t.Fatal(err)
		}
		return m.Code.Reveal()
	}
	steps := []struct {
		name string
		most int32
		run  func() error
	}{
		{"start", 4, func() (err error) { v, err = k.StartVerification(t.Context(), req); return err }},
		{"", 0, func() error { code = codeOf(); return nil }},
		{"wrong answer", 3, func() error { _, _ = k.checkMethod(v.ID, "", wrongCode(code)); return nil }},
		{"check", 3, func() error { _, err := k.checkMethod(v.ID, "", code); return err }},
		{"", 0, func() error {
			v = k.startVerification(req)
			return k.answerOnPage(v.ID, "", codeOf())
		}},
		{"redeem", 2, func() error { _, err := k.redeem(v); return err }},
		{"", 0, func() error { v = k.startVerification(verificationOf(keyMethod, smsMethod)); return nil }},
		{"check of a key", 4, func() error { _, err := k.checkMethod(v.ID, "", "x"); return err }},
	}
	for round := range 2 { // in the first one Redis does not have the scripts yet
		for _, step := range steps {
			commands.n.Store(0)
			if err := step.run(); err != nil {
				t.Fatalf("%s: %v", step.name, err)
			}
			if n := commands.n.Load(); round > 0 && step.most > 0 {
				t.Logf("%s: %d commands", step.name, n)
				if n > step.most {
					t.Errorf("%s takes %d commands, at most %d are allowed", step.name, n, step.most)
				}
			}
		}
	}
}
