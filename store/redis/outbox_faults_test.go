package redis_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// testNothingStoredWithoutMessage queues without the right to write to the outbox.
func testNothingStoredWithoutMessage(t *testing.T, server *redistest.Server) {
	configure(t, server, "acl", "setuser", "entries", "reset", "on", ">secret", "~*", "+@all", "-xadd")
	o := newOutbox(t, open(t, "redis://entries:secret@"+server.Addr), "right")
	if err := o.Create(t.Context(), entry("g.1"), watchword.Outgoing{ChallengeID: "ch_1", Send: 1}); err == nil {
		t.Error("created without its message")
	}
	if _, err := o.Get(t.Context(), "g.1"); !errors.Is(err, watchword.ErrNotFound) {
		t.Errorf("the entry is stored: %v", err)
	}
	must(t, o.Create(t.Context(), entry("g.1")))
	e := entry("g.1")
	e.Version, e.Sealed = 1, []byte("changed")
	if err := o.Update(t.Context(), e, watchword.Outgoing{ChallengeID: "ch_1", Send: 2}); err == nil {
		t.Error("updated without its message")
	}
	if got, err := o.Get(t.Context(), "g.1"); err != nil || got.Version != 1 {
		t.Errorf("version %d, %v", got.Version, err)
	}
}

// testFiveClaims lets five workers die with a message. It becomes a dead letter, and the next message is claimed.
func testFiveClaims(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	dead := 0
	o, err := redis.NewOutbox(newStore(client, redis.Config{Prefix: "five"}), redis.OutboxConfig{App: "shop", DeadLetters: func(n int) { dead += n }})
	must(t, err)
	must(t, o.Put(t.Context(), watchword.Outgoing{ChallengeID: "ch_1", Send: 1}))
	for n := range 5 {
		out, err := o.Claim(t.Context(), 10)
		if err != nil || len(out) != 1 || dead != 0 {
			t.Fatalf("claim %d: %v, %v, %d dead letters", n+1, out, err, dead)
		}
		endLeases(t, client, "five")
	}
	late := watchword.Outgoing{ChallengeID: "ch_2", Send: 1, Due: time.Now().Add(1500 * time.Millisecond)}
	must(t, o.Put(t.Context(), late))
	out, err := o.Claim(t.Context(), 10)
	if err != nil || len(out) != 1 || out[0].ChallengeID != "ch_2" || dead != 1 {
		t.Fatalf("after that: %v, %v, %d dead letters", out, err, dead)
	}
	if kept := client.LRange(t.Context(), "{five:0}:x:shop", 0, -1).Val(); len(kept) != 1 || kept[0] != "m |1|0|ch_1" {
		t.Errorf("dead letters: %q", kept)
	}
}

// testEntriesOfOthers claims a message behind entries that no Outbox has written. They become dead letters, in their first bytes.
func testEntriesOfOthers(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	dead := 0
	o, err := redis.NewOutbox(newStore(client, redis.Config{Prefix: "others"}), redis.OutboxConfig{App: "shop", DeadLetters: func(n int) { dead += n }})
	must(t, err)
	others := [][]string{{"n", "|1|0|ch_1"}, {"m", "|1|0|ch_1", "m", "|1|0|ch_2"}, {"m", "|1|0|" + strings.Repeat("x", 100_000)}, {"m", "|1|0|ch 1"}, {"m", "|999999999999|0|ch_1"}}
	for _, fields := range others {
		must(t, client.XAdd(t.Context(), &goredis.XAddArgs{Stream: "{others:0}:o:shop", Values: fields}).Err())
	}
	must(t, o.Put(t.Context(), message(1)))
	out, err := o.Claim(t.Context(), 32)
	if err != nil || len(out) != 1 || out[0].ChallengeID != message(1).ChallengeID || dead != len(others) {
		t.Errorf("claimed %v, %v; %d dead letters", out, err, dead)
	}
	if size := len(strings.Join(client.LRange(t.Context(), "{others:0}:x:shop", 0, -1).Val(), "")); size == 0 || size > 5_000 {
		t.Errorf("dead letters of %d bytes", size)
	}
}

// testLostClaims loses replies to Claim. The process claims again what was in them, long before its lease ends, and nothing twice.
func testLostClaims(t *testing.T, server *redistest.Server) {
	proxy := redistest.StartProxy(t, server.Addr)
	o, sender := newOutbox(t, open(t, proxy.URL()), "lost"), newOutbox(t, open(t, server.URL()), "lost")
	seen := map[string]bool{}
	claim := func() {
		out, err := o.Claim(t.Context(), 4)
		if err != nil {
			return
		}
		for _, one := range out {
			if seen[one.ChallengeID] {
				t.Errorf("%s was claimed twice", one.ChallengeID)
			}
			seen[one.ChallengeID] = true
			if len(seen)%3 == 0 { // the others stay claimed
				must(t, o.Done(t.Context(), one))
			}
		}
	}
	must(t, sender.Put(t.Context(), message(0)))
	claim() // learns the server's clock and the script
	for n := range 20 {
		must(t, sender.Put(t.Context(), message(2*n+1), message(2*n+2)))
		if n%2 == 0 {
			proxy.CutNext(":o:shop")
		}
		claim()
	}
	proxy.CutNone()
	clock := startRunClock(t)
	for len(seen) < 41 {
		claim()
	}
	if took := clock.now(); took > watchword.SendLease/2 {
		t.Errorf("claimed after %s", took)
	}
}

// testDeadConsumers removes consumers that have claimed nothing for long, and no others.
func testDeadConsumers(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	busy, idle, remover := newOutbox(t, client, "consumers"), newOutbox(t, client, "consumers"), newOutbox(t, client, "consumers")
	must(t, idle.Put(t.Context(), watchword.Outgoing{ChallengeID: "ch_1", Send: 1}))
	out, err := idle.Claim(t.Context(), 1)
	must(t, err)
	must(t, idle.Done(t.Context(), out[0]))
	must(t, busy.Put(t.Context(), watchword.Outgoing{ChallengeID: "ch_2", Send: 1}, watchword.Outgoing{ChallengeID: "ch_3", Send: 1, Due: time.Now().Add(time.Hour)}))
	_, err = busy.Claim(t.Context(), 1)
	must(t, err)
	must(t, remover.RemoveConsumers(t.Context(), time.Minute))
	consumers := func() (pending []int64) {
		for _, c := range client.XInfoConsumers(t.Context(), "{consumers:0}:o:shop", "w").Val() {
			pending = append(pending, c.Pending)
		}
		slices.Sort(pending)
		return pending
	}
	before := consumers()
	if len(before) < 2 {
		t.Errorf("consumers that were not idle for long are gone: %v are left", before)
	}
	time.Sleep(20 * time.Millisecond)
	must(t, remover.RemoveConsumers(t.Context(), 10*time.Millisecond))
	if after := consumers(); len(after) != len(before)-1 || after[len(after)-1] != 1 {
		t.Errorf("of consumers with %v messages, those with %v are left", before, after)
	}
}

// testOutboxPing fails while messages cannot be queued, and leaves nothing that grows.
func testOutboxPing(t *testing.T, server *redistest.Server) {
	user := func(rules ...any) []any {
		return append([]any{"acl", "setuser", "pinging", "reset", "on", ">secret"}, rules...)
	}
	configure(t, server, user("~{ping:*", "+@all")...)
	client := server.Client(t)
	o := newOutbox(t, open(t, "redis://pinging:secret@"+server.Addr), "ping")
	for range 20 {
		must(t, o.PingNow(t.Context()))
	}
	if keys := client.Keys(t.Context(), "{ping:0}:[odx]:*").Val(); len(keys) != 1 || client.XLen(t.Context(), keys[0]).Val() != 0 {
		t.Errorf("left: %v", keys)
	}
	for _, missing := range []string{"-xadd", "-xreadgroup", "-xack", "-xdel"} {
		configure(t, server, user("~{ping:*", "+@all", missing)...)
		if err := o.PingNow(t.Context()); !strings.Contains(reasonOf(err), "no right") {
			t.Errorf("%s: %v", missing, err)
		}
		configure(t, server, user("~{ping:*", "+@all")...)
		must(t, o.PingNow(t.Context()))
	}
}

// testOutboxWithHangingNode claims the messages of the other nodes while one hangs, and those of that node when it replies again.
func testOutboxWithHangingNode(t *testing.T, cluster *redistest.Cluster) {
	hurried := redis.New(openAsGiven(t, cluster.URL()), redis.Config{Prefix: "hang", Timeout: 300 * time.Millisecond})
	o, err := redis.NewOutbox(hurried, redis.OutboxConfig{App: "shop"})
	must(t, err)
	patient := newOutbox(t, open(t, cluster.URL()), "hang")
	owners := map[string]*redistest.Server{}
	for i := range 30 {
		id := fmt.Sprint("ch_", i)
		must(t, patient.Create(t.Context(), entry(fmt.Sprintf("group%d.x", i)), watchword.Outgoing{ChallengeID: id, Send: 1}))
	}
	hanging := cluster.Nodes[1]
	for _, key := range hanging.Client(t).Keys(t.Context(), "{hang:*}:o:shop").Val() {
		for _, e := range hanging.Client(t).XRange(t.Context(), key, "-", "+").Val() {
			_, id, _ := strings.Cut(fmt.Sprint(e.Values["m"]), "|1|0|")
			owners[id] = hanging
		}
	}
	if len(owners) == 0 || len(owners) == 30 {
		t.Fatalf("the node has %d of 30 messages", len(owners))
	}
	claim := func(n int) (ids []string) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		for len(ids) < n {
			out, err := o.Claim(ctx, 32)
			if err != nil {
				t.Fatalf("claimed %d of %d: %v", len(ids), n, err)
			}
			for _, one := range out {
				must(t, patient.Done(ctx, one)) // before its lease ends
				ids = append(ids, one.ChallengeID)
			}
		}
		return ids
	}
	must(t, hanging.Pause())
	for _, id := range claim(30 - len(owners)) {
		if owners[id] == hanging {
			t.Errorf("%s was claimed from a node that hangs", id)
		}
	}
	must(t, hanging.Resume())
	for _, id := range claim(len(owners)) {
		if owners[id] != hanging {
			t.Errorf("%s was claimed twice", id)
		}
	}
}
