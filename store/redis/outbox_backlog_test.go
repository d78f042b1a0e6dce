package redis_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// testBacklog lets one process look at the messages of another.
func testBacklog(t *testing.T, server *redistest.Server) {
	client := open(t, server.URL())
	sending, looking := newOutbox(t, client, "backlog"), newOutbox(t, client, "backlog")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	wantBacklog(t, looking, 0, 0, time.Time{})
	began := time.Now().Add(-time.Hour)
	must(t, client.XAdd(ctx, &goredis.XAddArgs{Stream: "{backlog:0}:o:shop", ID: fmt.Sprint(began.UnixMilli(), "-0"), Values: []string{"m", "|1|0|ch_1"}}).Err())
	must(t, sending.Put(ctx, message(2)))
	claimed, err := sending.Claim(ctx, 10)
	must(t, err)
	for n := range 3 {
		late := message(10 + n)
		late.Due = time.Now().Add(time.Hour)
		must(t, sending.Put(ctx, late))
	}
	go func() { _, _ = looking.Claim(ctx, 10) }() // finds nothing, because both messages are being sent
	wantBacklog(t, looking, 2, 3, began)
	for _, one := range claimed {
		must(t, sending.Done(ctx, one))
	}
	wantBacklog(t, looking, 0, 3, time.Time{})
	must(t, client.Del(ctx, "{backlog:0}:d:shop").Err())
	must(t, client.Set(ctx, "{backlog:0}:d:shop", "damaged", 0).Err())
	wantBacklog(t, looking, 0, 0, time.Time{})
}

// wantBacklog waits until an outbox has a backlog. oldest is when its oldest message was queued; zero: there is none.
func wantBacklog(t *testing.T, o *redis.Outbox, due, later int, oldest time.Time) {
	t.Helper()
	var gotDue, gotLater int
	var got time.Time
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		gotDue, gotLater, got = o.Backlog()
		if gotDue != due || gotLater != later || got.IsZero() != oldest.IsZero() {
			continue
		}
		if age := got.Sub(oldest); !oldest.IsZero() && (age < -time.Second || age > time.Minute) {
			t.Errorf("the oldest message was queued at %s, not at %s", got, oldest)
		}
		return
	}
	t.Fatalf("backlog %d, %d, %s; want %d, %d, %s", gotDue, gotLater, got, due, later, oldest)
}

// On a Cluster the messages of all partitions count.
func testBacklogOfAllPartitions(t *testing.T, cluster *redistest.Cluster) {
	o := newOutbox(t, open(t, cluster.URL()), "backlogs")
	const n = 30
	for i := range n {
		late := message(i)
		late.Due = time.Now().Add(time.Hour)
		must(t, o.Put(t.Context(), late))
	}
	go func() { _, _ = o.Claim(t.Context(), 1) }()
	wantBacklog(t, o, 0, n, time.Time{})
}
