package enginetest_test

import (
	"context"
	"sync"
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

// A start with its first challenge takes at most 4 commands of Redis, the limits included, a check 3, and a redeem 2. Canceling the other
// challenges comes after the answer. Queuing the events takes no more.
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
	k := &verificationKit{&factorKit{kit: newKit(t, func(c *watchword.Config) {
		c.Clock, c.Store, c.Starts = time.Now, store, limits
		if queuesEvents {
			c.Store, c.Outbox, c.Subscribed = outbox, nil, func(string) bool { return true }
		}
	})}}
	req := verificationOf(smsMethod, mailMethod)
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

// A check takes at most 3 commands by a strategy that evaluates the answer itself too: the verification is read, the try is charged, and
// the step that writes the answer into the verification decides. The challenge is closed after the answer.
func TestChecksByStrategiesWithFactorsTakeThreeCommandsOfRedis(t *testing.T) {
	server := redistest.Start(t)
	commands := &commandCounter{}
	client := server.Client(t)
	client.AddHook(commands)
	for name, queuesEvents := range map[string]bool{"without events": false, "with events": true} {
		outbox, err := redisstore.NewOutbox(redisstore.New(client, redisstore.Config{}), redisstore.OutboxConfig{App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		k, held := newVerifierKit(t), newHeldWrites()
		e := k.newNode(func(c *watchword.Config) {
			c.Clock, c.Store = time.Now, &heldOutbox{outbox, held}
			if queuesEvents {
				c.Outbox, c.Subscribed = nil, func(string) bool { return true }
			}
		})
		for round := range 2 { // in the first one Redis does not have the scripts yet
			for _, strategy := range verifierStrategies {
				for _, right := range []bool{false, true} {
					v, err := e.StartVerification(t.Context(), verificationOf(watchword.MethodRequest{Strategy: strategy}))
					if err != nil {
						t.Fatal(err)
					}
					answer := k.wrongVerifierAnswer(strategy)
					if right {
						answer = k.rightVerifierAnswer(strategy)
					}
					commands.n.Store(0)
					release := held.hold(right)
					_, err = checkMethod(e, v.ID, "", answer)
					n := commands.n.Load()
					if release(); right != (err == nil) {
						t.Fatalf("%s %s, right %t: %v", name, strategy, right, err)
					}
					if round > 0 {
						t.Logf("%s, %s, right %t: %d commands", name, strategy, right, n)
					}
					if round > 0 && n > 3 || n < 3 {
						t.Errorf("%s: a check by %s, right %t, takes %d commands", name, strategy, right, n)
					}
					if err := e.AwaitBackground(t.Context()); err != nil { // what the answer has ended is written before the next count
						t.Fatal(err)
					}
				}
			}
		}
	}
}

// heldWrites holds what the engine writes after an answer until the test releases it.
type heldWrites struct {
	mu    sync.Mutex
	gate  chan struct{} // closed when it is released
	right bool          // of the answer that is checked: after a wrong one, the end of a method is written
}

func newHeldWrites() *heldWrites {
	h := &heldWrites{gate: make(chan struct{})}
	close(h.gate)
	return h
}

func (h *heldWrites) hold(right bool) (release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gate := make(chan struct{})
	h.gate, h.right = gate, right
	return func() { close(gate) }
}

// write waits for the release if the write comes after an answer.
func (h *heldWrites) write(closes bool) {
	h.mu.Lock()
	gate, held := h.gate, closes == h.right
	h.mu.Unlock()
	if held {
		<-gate
	}
}

type heldOutbox struct {
	*redisstore.Outbox
	held *heldWrites
}

func (o *heldOutbox) Close(ctx context.Context, id string, c watchword.Closing) error {
	if c.State != watchword.StateApproved {
		return o.Outbox.Close(ctx, id, c)
	}
	o.held.write(true)
	return o.Outbox.Close(context.WithoutCancel(ctx), id, c)
}

func (o *heldOutbox) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	o.held.write(false)
	return o.Outbox.Update(ctx, e, out...)
}
