package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/memory"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// A listingSender accepts every message and lists it.
type listingSender struct {
	mu  sync.Mutex
	all []watchword.Message
}

func (s *listingSender) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, m)
	return watchword.Sent{}, nil
}

// sends returns the numbers of the sends of a challenge that the sender has got.
func (s *listingSender) sends(id string) (numbers []int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.all {
		if m.ChallengeID == id {
			numbers = append(numbers, m.Send)
		}
	}
	return numbers
}

// A heldSender is a listingSender that holds the first message of each challenge until the test lets it fail.
type heldSender struct {
	listingSender
	came chan watchword.Message
	fail chan error
}

func (s *heldSender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	first := len(s.sends(m.ChallengeID)) == 0
	sent, err := s.listingSender.Send(ctx, m)
	s.came <- m
	if first {
		err = <-s.fail
	}
	return sent, err
}

// receive waits for the next call of the sender.
func (s *heldSender) receive(t *testing.T) watchword.Message {
	t.Helper()
	select {
	case m := <-s.came:
		return m
	case <-time.After(time.Minute):
		t.Fatal("the sender is not called")
		return watchword.Message{}
	}
}

// How the first sender fails: so that the next one is asked, or so that it is asked again.
var (
	errRefused = &watchword.SendError{Permanent: true, Provider: "first", Cause: errors.New("wrong credentials")}
	errDropped = &watchword.SendError{Provider: "first", Cause: errors.New("connection reset")}
)

// A routedKit is an engine with a worker and a router of two senders.
type routedKit struct {
	*kit
	held   *heldSender
	second *listingSender
	stop   func() // ends the worker when it has finished what it has begun
}

func newRoutedKit(t *testing.T, outbox watchword.Outbox, options ...func(*watchword.Config)) *routedKit {
	t.Helper()
	k := &routedKit{held: &heldSender{came: make(chan watchword.Message, 10), fail: make(chan error)}, second: &listingSender{}}
	k.kit = newKit(t, append([]func(*watchword.Config){func(c *watchword.Config) {
		c.Clock, c.NoBudget, c.Cooldown = time.Now, true, time.Second
		if c.Store, c.Outbox = memory.New(memory.Config{}), outbox; isStore(outbox) {
			c.Store, c.Outbox = outbox.(watchword.Store), nil
		}
	}}, options...)...)
	route := []delivery.Provider{{Name: "first", Sender: k.held}, {Name: "second", Sender: k.second}}
	began := time.Now() // the router's clock stands still: a sender whose call takes long, on a busy machine, would not be asked again
	router, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{"sms": route, "email": route},
		Now: func() time.Time { return began }})
	if err != nil {
		t.Fatal(err)
	}
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: k.Engine, Outbox: outbox, Sender: router})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = worker.Run(ctx) }()
	k.stop = func() { stop(); <-ended }
	t.Cleanup(k.stop)
	return k
}

func isStore(outbox watchword.Outbox) bool {
	_, ok := outbox.(watchword.Store)
	return ok
}

// onEachRealOutbox runs a test with the queue in the process, and with the outbox on Redis.
func onEachRealOutbox(t *testing.T, test func(t *testing.T, outbox watchword.Outbox)) {
	t.Run("queue", func(t *testing.T) { test(t, delivery.NewQueue(10, nil)) })
	t.Run("redis", func(t *testing.T) {
		outbox, err := redisstore.NewOutbox(redisstore.New(redistest.Start(t).Client(t), redisstore.Config{}), redisstore.OutboxConfig{App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		test(t, outbox)
	})
}

// What has ended while a sender had it goes neither to the next sender when that one fails, nor to the same one again. What is still
// wanted does.
func TestMessageThatIsNoLongerWantedIsNotTriedFurther(t *testing.T) {
	t.Parallel()
	nothing := func(*routedKit, string, watchword.Message) error { return nil }
	cancel := func(k *routedKit, id string, _ watchword.Message) error {
		_, err := k.Cancel(t.Context(), id)
		return err
	}
	approve := func(k *routedKit, id string, m watchword.Message) error {
		_, err := k.check(id, m.Code.Reveal())
		return err
	}
	resend := func(k *routedKit, id string, _ watchword.Message) error {
		time.Sleep(time.Second) // the cool-down
		_, err := k.Resend(t.Context(), id, watchword.ResendRequest{})
		k.held.receive(t)
		return err
	}
	onEachRealOutbox(t, func(t *testing.T, outbox watchword.Outbox) {
		k := newRoutedKit(t, outbox)
		var checks []func()
		for name, c := range map[string]struct {
			failure       error
			while         func(k *routedKit, id string, m watchword.Message) error
			first, second []int // the sends that the senders get
		}{
			"canceled, the next sender":   {errRefused, cancel, []int{1}, nil},
			"canceled, the same sender":   {errDropped, cancel, []int{1}, nil},
			"approved, the next sender":   {errRefused, approve, []int{1}, nil},
			"approved, the same sender":   {errDropped, approve, []int{1}, nil},
			"sent again, the next sender": {errRefused, resend, []int{1, 2}, nil},
			"wanted, the next sender":     {errRefused, nothing, []int{1}, []int{1}},
			"wanted, the same sender":     {errDropped, nothing, []int{1, 1}, nil},
		} {
			id := k.start(startByEmail()).ID
			if err := c.while(k, id, k.held.receive(t)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			k.held.fail <- c.failure
			if len(c.first) > 1 && c.first[1] == 1 {
				k.held.receive(t)
			}
			checks = append(checks, func() {
				if first, second := k.held.sends(id), k.second.sends(id); !slices.Equal(first, c.first) || !slices.Equal(second, c.second) {
					t.Errorf("%s: the senders have got the sends %v and %v, want %v and %v", name, first, second, c.first, c.second)
				}
			})
		}
		k.stop()
		for _, check := range checks {
			check()
		}
	})
}

// What StillWanted returns while a message is being sent, by what has happened meanwhile: for a send, and for its move to another sender.
func TestStillWanted(t *testing.T) {
	for name, c := range map[string]struct {
		while func(k *kit, id string)
		want  error
	}{
		"nothing":  {func(*kit, string) {}, nil},
		"canceled": {func(k *kit, id string) { _, _ = k.Cancel(context.Background(), id) }, watchword.ErrClosed},
		"sent again": {func(k *kit, id string) {
			k.clock.advance(30 * time.Second)
			_, _ = k.Resend(context.Background(), id, watchword.ResendRequest{})
		}, watchword.ErrClosed},
		"expired":                   {func(k *kit, _ string) { k.clock.advance(11 * time.Minute) }, watchword.ErrExpired},
		"reported as delivered":     {func(k *kit, id string) { k.report(id, deliveryOf(watchword.DeliveryDelivered, 0)) }, watchword.ErrClosed},
		"reported as not delivered": {func(k *kit, id string) { k.report(id, deliveryOf(watchword.DeliveryFailed, 0)) }, nil},
		"the store is unavailable":  {func(k *kit, _ string) { k.store.failure = errors.New("down") }, watchword.ErrUnavailable},
	} {
		for _, moves := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, moves: %t", name, moves), func(t *testing.T) {
				onEachOutbox(t, func(t *testing.T, outbox func(*watchword.Config)) {
					k := newKit(t, withFailover, outbox)
					var id string
					var m watchword.Message
					if moves {
						id, _ = k.startSentBySMS()
						k.report(id, deliveryOf(watchword.DeliveryFailed, 0))
						m = k.compose(k.outbox.last(id))
					} else {
						id = k.start(watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: alicePhone, Subject: subject}).ID
						m = k.compose(k.outbox.last(id))
					}
					c.while(k, id)
					if err := m.StillWanted(t.Context()); !errors.Is(err, c.want) {
						t.Errorf("%v, want %v", err, c.want)
					}
				})
			})
		}
	}
}
