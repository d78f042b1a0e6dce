package redis_test

import (
	"strings"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// testUpdateAndFinish finishes claimed messages, of the stream and direct ones, with updates that are made and that are refused. The
// message is gone in each case. What the update queues is queued only if it is made.
func testUpdateAndFinish(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	for name, claimOne := range map[string]func(*testing.T, *redis.Outbox) watchword.Outgoing{"stream": claimFromStream, "direct": claimDirect} {
		for _, c := range []struct {
			name    string
			id      string
			version int64
			want    error
			queued  string
		}{
			{"made", "g.1", 1, nil, "fallback|1|0|ch_1"},
			{"conflict", "g.1", 7, watchword.ErrConflict, ""},
			{"unknown", "g.unknown", 1, watchword.ErrNotFound, ""},
			{"damaged", "g.damaged", 1, watchword.ErrNotFound, ""},
		} {
			t.Run(name+" "+c.name, func(t *testing.T) {
				must(t, client.FlushAll(t.Context()).Err())
				o := newOutbox(t, client, "finish")
				finished := claimOne(t, o)
				must(t, client.Set(t.Context(), "{finish:0}:e:g.damaged", "x", 0).Err())
				e := entry(c.id)
				e.Version, e.Sealed = c.version, []byte("new")
				later := watchword.Outgoing{Kind: "fallback", ChallengeID: "ch_1", Send: 1, Due: time.Now().Add(time.Minute)}
				wants(t, "UpdateAndFinish", o.UpdateAndFinish(t.Context(), e, finished, later), c.want)
				if got := strings.Join(elements(t, client, "{finish:0}"), " "); got != c.queued {
					t.Errorf("the outbox holds %q, want %q", got, c.queued)
				}
				pending, err := client.XPending(t.Context(), "{finish:0}:o:shop", "w").Result()
				if err == nil && pending.Count != 0 {
					t.Errorf("%d entries are claimed", pending.Count)
				}
				got, err := o.Get(t.Context(), "g.1")
				if made := string(got.Sealed) == "new"; err != nil || made != (c.want == nil) {
					t.Errorf("the entry holds %q, %v", got.Sealed, err)
				}
				wants(t, "once more", o.UpdateAndFinish(t.Context(), watchword.Entry{ID: "g.unknown", Version: 1}, finished), watchword.ErrNotFound)
			})
		}
	}
}

func claimFromStream(t *testing.T, o *redis.Outbox) watchword.Outgoing {
	must(t, o.Create(t.Context(), entry("g.1"), watchword.Outgoing{ChallengeID: "ch_1", Send: 1}))
	out, err := o.Claim(t.Context(), 1)
	must(t, err)
	return out[0]
}

func claimDirect(t *testing.T, o *redis.Outbox) watchword.Outgoing {
	claimed := make(chan []watchword.Outgoing, 1)
	go func() {
		out, _ := o.Claim(t.Context(), 1)
		claimed <- out
	}()
	await(t, "a reservation", o.Reserve)
	must(t, o.Create(t.Context(), entry("g.1"), direct("ch_1")))
	return (<-claimed)[0]
}

// An attacker may move the id of a message to another partition. Redis refuses to finish it with an entry that is elsewhere.
func testFinishOfAnotherPartition(t *testing.T, cluster *redistest.Cluster) {
	client := open(t, cluster.URL())
	o := newOutbox(t, client, "elsewhere")
	must(t, o.Create(t.Context(), entry("g.1"), watchword.Outgoing{ChallengeID: "ch_1", Send: 1}))
	out, err := o.Claim(t.Context(), 1)
	must(t, err)
	partition, id, _ := strings.Cut(out[0].Claim, " ")
	other := "1"
	if partition == other {
		other = "2"
	}
	moved := out[0]
	moved.Claim = other + " " + id
	e := entry("g.1")
	e.Version = 1
	if err := o.UpdateAndFinish(t.Context(), e, moved); err == nil {
		t.Error("finished with an entry of another partition")
	}
	if got, err := o.Get(t.Context(), "g.1"); err != nil || got.Version != 1 {
		t.Errorf("the entry has version %d, %v", got.Version, err)
	}
	must(t, o.UpdateAndFinish(t.Context(), e, out[0]))
	if n := client.(*goredis.ClusterClient).XLen(t.Context(), "{elsewhere:"+partition+"}:o:shop").Val(); n != 0 {
		t.Errorf("%d entries in the stream", n)
	}
}
