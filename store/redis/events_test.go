package redis_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/outboxtest"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

func TestEvents(t *testing.T) {
	server := redistest.Start(t)
	t.Run("requirements", func(t *testing.T) { runEventRequirements(t, server.URL()) })
	t.Run("attempt queues what it ends", func(t *testing.T) { testAttemptQueuesEnd(t, server) })
	t.Run("close queues what it ends", func(t *testing.T) { testCloseQueuesEnd(t, server) })
	t.Run("direct", func(t *testing.T) { testDirectEvents(t, server) })
	t.Run("endpoint claims", func(t *testing.T) { testEndpointClaims(t, server) })
	t.Run("endpoint full", func(t *testing.T) { testEndpointFull(t, server) })
	t.Run("endpoint dead letters", func(t *testing.T) { testEndpointDeadLetters(t, server) })
	t.Run("endpoint switch", func(t *testing.T) { testEndpointSwitch(t, server) })
}

func TestEventsOnCluster(t *testing.T) {
	cluster := redistest.StartCluster(t)
	o := newOutbox(t, open(t, cluster.URL()), "events")
	for i := range 20 {
		id := fmt.Sprintf("group%d.x", i)
		must(t, o.Create(t.Context(), entry(id), message(i), started(i)))
		must(t, o.Close(t.Context(), id, watchword.Closing{State: watchword.StateCanceled, Clear: fmt.Sprintf("group%d", i), Ended: []watchword.Outgoing{ended(i)}}))
	}
	kinds := map[watchword.OutgoingKind]int{}
	for kinds[watchword.KindStarted]+kinds[watchword.KindEnded] < 40 {
		out, err := o.Events().Claim(t.Context(), 16)
		must(t, err)
		for _, one := range out {
			kinds[one.Kind]++
			must(t, o.Events().Done(t.Context(), one))
		}
	}
	if kinds[watchword.KindStarted] != 20 || kinds[watchword.KindEnded] != 20 {
		t.Errorf("claimed %v", kinds)
	}
}

func started(n int) watchword.Outgoing {
	return watchword.Outgoing{Kind: watchword.KindStarted, ChallengeID: fmt.Sprint("ch_", n)}
}

func ended(n int) watchword.Outgoing {
	return watchword.Outgoing{Kind: watchword.KindEnded, ChallengeID: fmt.Sprint("ch_", n)}
}

// runEventRequirements runs the suite of outboxes on the queue of what happened.
func runEventRequirements(t *testing.T, url string) {
	clients := []goredis.UniversalClient{open(t, url), open(t, url), open(t, url)}
	var requirement atomic.Int64
	t.Run("all", func(t *testing.T) {
		outboxtest.Run(t, func(t *testing.T) outboxtest.Backend {
			prefix := fmt.Sprintf("happened%d", requirement.Add(1))
			b := outboxtest.Backend{EndLeases: func(t testing.TB) { endLeasesOf(t, clients[0], fmt.Sprintf("{%s:0}:eo:shop", prefix)) }}
			for _, client := range clients {
				b.Processes = append(b.Processes, newOutbox(t, client, prefix).Events())
			}
			return b
		})
	})
}

// queuedEvents returns the elements of the queue of what happened.
func queuedEvents(t *testing.T, client goredis.UniversalClient, prefix string) (all []string) {
	t.Helper()
	entries, err := client.XRange(t.Context(), "{"+prefix+":0}:eo:shop", "-", "+").Result()
	must(t, err)
	for _, e := range entries {
		all = append(all, fmt.Sprint(e.Values["m"]))
	}
	return append(all, client.ZRange(t.Context(), "{"+prefix+":0}:ed:shop", 0, -1).Val()...)
}

// testAttemptQueuesEnd ends entries by a match and by the last wrong answer, with a budget and without. No other attempt queues.
func testAttemptQueuesEnd(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	for name, budget := range map[string]watchword.Budget{"alone": {}, "budget": {Key: "g", Limits: []watchword.Window{{Max: 100, Per: time.Minute}}}} {
		o := newOutbox(t, client, "attempt-"+name)
		budget.Ended = []watchword.Outgoing{ended(1)}
		attempt := func(id, digest string, want error) {
			t.Helper()
			_, err := o.Attempt(t.Context(), id, []watchword.Guess{{Digest: []byte(digest), State: watchword.StateApproved, Mark: []byte("mark")}}, budget)
			if !errors.Is(err, want) {
				t.Fatalf("%s: %v", id, err)
			}
		}
		expect := func(n int) {
			t.Helper()
			if got := queuedEvents(t, client, "attempt-"+name); len(got) != n {
				t.Fatalf("queued %q, want %d", got, n)
			}
		}
		for _, id := range []string{"g.1", "g.2"} {
			e := entry(id)
			e.Tries, e.Digests = 2, [][]byte{[]byte("right")}
			must(t, o.Create(t.Context(), e))
		}
		attempt("g.1", "wrong", watchword.ErrMismatch)
		expect(0)
		attempt("g.1", "right", nil)
		expect(1)
		attempt("g.1", "right", watchword.ErrClosed)
		attempt("g.2", "wrong", watchword.ErrMismatch)
		expect(1)
		budget.Ended = []watchword.Outgoing{ended(2)}
		attempt("g.2", "wrong", watchword.ErrMismatch)
		expect(2)
		attempt("g.3", "wrong", watchword.ErrNotFound)
		expect(2)
	}
}

func testCloseQueuesEnd(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	o := newOutbox(t, client, "close")
	must(t, o.Create(t.Context(), entry("g.1")))
	closing := watchword.Closing{State: watchword.StateCanceled, Clear: "g", Ended: []watchword.Outgoing{ended(1)}}
	must(t, o.Close(t.Context(), "g.1", closing))
	wants(t, "a second Close", o.Close(t.Context(), "g.1", closing), watchword.ErrClosed)
	wants(t, "Close of nothing", o.Close(t.Context(), "g.2", closing), watchword.ErrNotFound)
	must(t, o.Create(t.Context(), entry("g.3")))
	late := watchword.Closing{State: watchword.StateLocked, Idle: time.Hour, Ended: []watchword.Outgoing{ended(3)}}
	wants(t, "Close of a pending entry", o.Close(t.Context(), "g.3", late), watchword.ErrInFlight)
	if got := queuedEvents(t, client, "close"); len(got) != 1 || got[0] != "ended|0|0|ch_1" {
		t.Errorf("queued %q", got)
	}
}

// testDirectEvents hands what happened to the Claim of its own process, and to no other one before its lease ends.
func testDirectEvents(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	own := newOutbox(t, client, "happened-direct")
	claims := make(chan []watchword.Outgoing, 1)
	waitForOne := func() {
		go func() {
			out, _ := own.Events().Claim(t.Context(), 1)
			claims <- out
		}()
		await(t, "a free place", func() bool { return own.ReserveEvent() })
		own.UnreserveEvent()
	}
	waitForOne()
	wants(t, "an update", own.Update(t.Context(), entry("g.0"), started(0)), watchword.ErrNotFound) // gives its place back
	must(t, own.Create(t.Context(), entry("g.1"), started(1)))
	out := <-claims
	if len(out) != 1 || out[0].ChallengeID != "ch_1" || !out[0].Direct {
		t.Fatalf("claimed %v", out)
	}
	if got := queuedEvents(t, client, "happened-direct"); len(got) != 1 {
		t.Errorf("queued %q", got)
	}
	must(t, own.Events().Done(t.Context(), out[0]))
	if got := queuedEvents(t, client, "happened-direct"); len(got) != 0 {
		t.Errorf("left %q", got)
	}
}

func newEventQueue(t testing.TB, client goredis.UniversalClient, prefix string) *redis.EventQueue {
	t.Helper()
	q, err := redis.NewEventQueue(newStore(client, redis.Config{Prefix: prefix}), redis.EventQueueConfig{App: "shop"})
	must(t, err)
	return q
}

// testEndpointClaims claims, retries and takes over events of one endpoint. Those of another are apart.
func testEndpointClaims(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	first, second := newEventQueue(t, client, "endpoint"), newEventQueue(t, client, "endpoint")
	sealed := bytes.Repeat([]byte{0xff, 0}, 10_000)
	must(t, first.Put(t.Context(), "a", sealed))
	must(t, first.Put(t.Context(), "b", []byte("of b")))
	out, err := second.Claim(t.Context(), "a", 10)
	must(t, err)
	if len(out) != 1 || !bytes.Equal(out[0].Sealed, sealed) || out[0].Attempt != 0 || time.Since(out[0].QueuedAt) > time.Minute {
		t.Fatalf("claimed %d", len(out))
	}
	must(t, second.Retry(t.Context(), "a", out[0], time.Now().Add(10*time.Millisecond)))
	if out, err = first.Claim(t.Context(), "a", 10); err != nil || len(out) != 1 || out[0].Attempt != 1 {
		t.Fatalf("claimed %v, %v", out, err)
	}
	endLeasesOf(t, client, "{endpoint:0}:po:shop:a")
	if out, err = second.Claim(t.Context(), "a", 10); err != nil || len(out) != 1 {
		t.Fatalf("after the lease: %v, %v", out, err)
	}
	must(t, second.Done(t.Context(), "a", out[0]))
	waiting, dead, err := first.Counts(t.Context(), "a")
	if err != nil || waiting != 0 || dead != 0 {
		t.Errorf("%d wait, %d dead, %v", waiting, dead, err)
	}
	if list, err := first.Waiting(t.Context(), "b", 10); err != nil || len(list) != 1 || string(list[0].Sealed) != "of b" {
		t.Errorf("%v, %v", list, err)
	}
}

// testEndpointFull bounds the size of a queue whose endpoint is down.
func testEndpointFull(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	q := newEventQueue(t, client, "full")
	q.SetMaxSize("a", 8<<20)
	sealed := bytes.Repeat([]byte("x"), 20_000)
	var err error
	n := 0
	for ; n < 3000 && err == nil; n++ {
		err = q.Put(t.Context(), "a", sealed)
	}
	if !errors.Is(err, watchword.ErrQueueFull) || n < 1000 || n > 1100 {
		t.Errorf("after %d: %v", n, err)
	}
	must(t, q.Put(t.Context(), "b", sealed))
	if err := q.Put(t.Context(), "a", bytes.Repeat([]byte("x"), 60_000)); err == nil {
		t.Error("queued an event that is too long")
	}
}

func testEndpointDeadLetters(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	q := newEventQueue(t, client, "dead")
	for n := range 3 {
		must(t, q.Put(t.Context(), "a", []byte{byte(n)}))
	}
	out, err := q.Claim(t.Context(), "a", 10)
	must(t, err)
	for _, one := range out {
		must(t, q.Bury(t.Context(), "a", one))
	}
	dead, err := q.DeadLetters(t.Context(), "a")
	if err != nil || len(dead) != 3 {
		t.Fatalf("%v, %v", dead, err)
	}
	must(t, q.Replay(t.Context(), "a", dead[1]))
	wants(t, "a second replay", q.Replay(t.Context(), "a", dead[1]), redis.ErrNoDeadLetter)
	if out, err = q.Claim(t.Context(), "a", 10); err != nil || len(out) != 1 || !bytes.Equal(out[0].Sealed, dead[1].Sealed) {
		t.Errorf("claimed %v, %v", out, err)
	}
	for _, key := range client.Keys(t.Context(), "{dead:0}:*").Val() {
		if client.PTTL(t.Context(), key).Val() <= 0 {
			t.Errorf("%s does not expire", key)
		}
	}
}

func testEndpointSwitch(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	q := newEventQueue(t, client, "switch")
	note, err := q.NoteOf(t.Context(), "a")
	if note != nil || err != nil {
		t.Errorf("%q, %v", note, err)
	}
	must(t, q.TurnOff(t.Context(), "a", []byte("note")))
	if note, err = newEventQueue(t, client, "switch").NoteOf(t.Context(), "a"); string(note) != "note" || err != nil {
		t.Errorf("%q, %v", note, err)
	}
	if note, err = q.NoteOf(t.Context(), "b"); note != nil || err != nil {
		t.Errorf("%q, %v", note, err)
	}
	key := client.Keys(t.Context(), "{switch:0}:*").Val()[0]
	client.Del(t.Context(), key)
	client.LPush(t.Context(), key, "x")
	if note, err = q.NoteOf(t.Context(), "a"); note != nil || err != nil {
		t.Errorf("of another type: %q, %v", note, err)
	}
}
