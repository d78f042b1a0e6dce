package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// The outbox of development mode's app; see store/redis.
const (
	outboxStream = "{watchword:0}:o:dev"
	outboxDue    = "{watchword:0}:d:dev"
)

// An outboxWriter is an attacker with write access to the Redis of two servers.
type outboxWriter struct {
	nodes    [2]*node
	client   *goredis.Client
	receiver *messageReceiver
	slow     *messageReceiver // of the channel sms; takes up to four seconds for each message
	started  int
}

func TestWriteAccessToRedisSendsNoMessageTwice(t *testing.T) {
	t.Parallel()
	server, dir, receiver := redistest.Start(t), t.TempDir(), startMessageReceiver(t, 100*time.Millisecond)
	slow := startMessageReceiver(t, 4*time.Second)
	start := func() *node {
		return startNode(t, dir, server.URL(), "--dev-no-limits", "--send", "email="+receiver.senderURL(), "--send", "sms="+slow.senderURL())
	}
	w := &outboxWriter{nodes: [2]*node{start(), start()}, client: server.Client(t), receiver: receiver, slow: slow}
	t.Run("ids of sent and ended challenges", w.testRepeatedIDs)
	t.Run("ids of every message, again and again", w.testRepeatedStream)
	t.Run("sabotage", w.testSabotage)
	if log := w.nodes[0].log.String() + w.nodes[1].log.String(); !strings.Contains(log, `"what":"outbox"`) {
		t.Error("dead letters are not logged")
	}
}

// start starts a challenge for an address of its own at one of the servers.
func (w *outboxWriter) start(t *testing.T) string {
	t.Helper()
	w.started++
	return w.nodes[w.started%2].start(func(b object) { b["to"] = fmt.Sprintf("person%d@example.com", w.started) }).str("id")
}

// add adds an element n times to the stream, and once to the sorted set.
func (w *outboxWriter) add(t *testing.T, element string, n int) {
	t.Helper()
	_, err := w.client.Pipelined(t.Context(), func(p goredis.Pipeliner) error {
		for range n {
			p.XAdd(t.Context(), &goredis.XAddArgs{Stream: outboxStream, Values: []string{"m", element}})
		}
		p.ZAdd(t.Context(), outboxDue, goredis.Z{Score: 0, Member: element})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// awaitEmpty waits until the servers have claimed and finished everything.
func (w *outboxWriter) awaitEmpty(t *testing.T) {
	t.Helper()
	waitFor(t, "0", func() string { return fmt.Sprint(w.client.XLen(context.Background(), outboxStream).Val()) })
}

func (w *outboxWriter) testRepeatedIDs(t *testing.T) {
	sent, canceled, approved := w.start(t), w.start(t), w.start(t)
	for _, id := range []string{sent, canceled, approved} {
		w.receiver.waitFor(t, id)
	}
	if r := w.nodes[1].call(http.MethodPost, "/v1/challenges/"+canceled+"/cancel", object{}); r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	if r := w.nodes[0].check(approved, w.receiver.of(approved)[0].Code); r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	for _, id := range []string{sent, canceled, approved} {
		for _, element := range []string{"|1|0|" + id, "|1|9|" + id, "|2|0|" + id, "fallback|1|0|" + id} {
			w.add(t, element, 1000)
		}
	}
	w.awaitEmpty(t)
	for _, id := range []string{sent, canceled, approved} {
		if n := len(w.receiver.of(id)); n != 1 {
			t.Errorf("%d messages of %s", n, id)
		}
	}
}

// testRepeatedStream repeats ids as soon as they are written, so while their messages are being sent.
func (w *outboxWriter) testRepeatedStream(t *testing.T) {
	var ids []string
	for n := range 30 {
		id := w.nodes[n%2].start(func(b object) { b["channel"], b["to"] = "sms", fmt.Sprintf("+1415555%04d", n) }).str("id")
		ids = append(ids, id)
		w.add(t, "|1|0|"+id, 50)
	}
	for _, id := range ids {
		w.slow.waitFor(t, id)
	}
	time.Sleep(6 * time.Second)
	for _, id := range ids {
		if n := len(w.slow.of(id)); n != 1 {
			t.Errorf("%d messages of %s", n, id)
		}
	}
}

// startMany starts more challenges at the same time than a server sends messages, so that some messages wait in the stream.
func (w *outboxWriter) startMany(t *testing.T) (ids []string) {
	t.Helper()
	const n = 80
	started := make(chan string, n)
	var all sync.WaitGroup
	for i := range n {
		body := object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": fmt.Sprintf("many%d-%d@example.com", w.started, i)}
		all.Go(func() { started <- w.startUntilAvailable(t, body) })
	}
	all.Wait()
	w.started++
	close(started)
	for id := range started {
		ids = append(ids, id)
	}
	return ids
}

// startUntilAvailable starts a challenge. The server may answer 503 while Redis reads giant values.
func (w *outboxWriter) startUntilAvailable(t *testing.T, body object) string {
	for range 20 {
		r, err := w.nodes[0].send(t.Context(), apiRequest{method: http.MethodPost, path: "/v1/challenges", body: body})
		if err == nil && r.status == http.StatusCreated {
			return r.str("id")
		}
		if err != nil || r.status != http.StatusServiceUnavailable {
			t.Errorf("start: %d %s %v", r.status, r.text, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Error("the server stays unavailable")
	return ""
}

// testSabotage damages the outbox in every way. Messages that are queued afterwards are sent, once.
func (w *outboxWriter) testSabotage(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name string
		do   func(t *testing.T)
	}{
		{"group dropped", func(t *testing.T) { w.client.XGroupDestroy(ctx, outboxStream, "w") }},
		{"group moved to the end", func(t *testing.T) { w.client.XGroupSetID(ctx, outboxStream, "w", "18446744073709551615-0") }},
		{"stream trimmed", func(t *testing.T) { w.client.XTrimMaxLen(ctx, outboxStream, 0) }},
		{"everything removed", func(t *testing.T) { w.client.FlushAll(ctx) }},
		{"stream of another type", func(t *testing.T) { w.client.Set(ctx, outboxStream, "x", 0) }},
		{"sorted set of another type", func(t *testing.T) { w.client.Set(ctx, outboxDue, "x", 0) }},
		{"dead letters of another type", func(t *testing.T) {
			w.client.Set(ctx, "{watchword:0}:x:dev", "x", 0)
			w.client.XAdd(ctx, &goredis.XAddArgs{Stream: outboxStream, Values: []string{"n", "x"}})
		}},
		{"last id used", func(t *testing.T) {
			w.client.XAdd(ctx, &goredis.XAddArgs{Stream: outboxStream, ID: fmt.Sprintf("%d-%d", uint64(math.MaxUint64), uint64(math.MaxUint64)), Values: []string{"n", "x"}})
		}},
		{"malformed entries", func(t *testing.T) {
			for _, element := range []string{"", "|", "|||", "|1|0|", "x|y|z|ch_1", "|1|0|ch_1\r\n", "|99999999999999999999|0|ch_1", "|-1|0|ch_1", strings.Repeat("|1|0|ch_", 100)} {
				w.add(t, element, 3)
			}
			w.client.XAdd(ctx, &goredis.XAddArgs{Stream: outboxStream, Values: []string{"m", "|1|0|ch_1", "m", "|1|0|ch_2", "x", "y"}})
		}},
		{"many malformed entries", func(t *testing.T) { w.add(t, "garbage", 20_000) }},
		{"giant entries", func(t *testing.T) {
			for range 3 {
				w.add(t, strings.Repeat("x", 8<<20), 1)
			}
		}},
		{"consumers of others", func(t *testing.T) {
			for i := range 1000 {
				w.client.XGroupCreateConsumer(ctx, outboxStream, "w", fmt.Sprint("attacker", i))
			}
			w.client.XReadGroup(ctx, &goredis.XReadGroupArgs{Group: "w", Consumer: "attacker", Streams: []string{outboxStream, ">"}, Count: 100, Block: -1})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.do(t)
			for _, id := range w.startMany(t) {
				w.receiver.waitFor(t, id)
				if n := len(w.receiver.of(id)); n != 1 {
					t.Errorf("%d messages of %s", n, id)
				}
			}
		})
	}
	if n := w.client.LLen(ctx, "{watchword:0}:x:dev").Val(); n == 0 || n > 1000 {
		t.Errorf("%d dead letters", n)
	}
	if m := w.client.StrLen(ctx, "{watchword:0}:x:dev").Val(); m > 1<<20 {
		t.Errorf("dead letters of %d bytes", m)
	}
}
