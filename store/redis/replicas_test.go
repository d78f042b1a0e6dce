package redis_test

import (
	"errors"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// With WaitReplicas whoever is told that a challenge is closed may rely on a replica to know it too.
func TestWaitReplicas(t *testing.T) {
	server := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port := server.HostPort()
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	ctx := t.Context()
	linked(t, server)
	client, sent := open(t, server.URL()), &commands{}
	s := redis.New(client, redis.Config{WaitReplicas: 1})
	onReplica := redis.New(open(t, replica.URL()), redis.Config{})
	for _, id := range []string{"g.1", "g.2", "g.3"} {
		must(t, s.Create(ctx, entry(id)))
	}
	waits := func(what string, want int, call func() error) {
		t.Helper()
		sent.take()
		must(t, call())
		n := 0
		for _, name := range sent.take() {
			if name == "wait" {
				n++
			}
		}
		if n != want {
			t.Errorf("%s: %d WAITs, want %d", what, n, want)
		}
	}
	client.AddHook(sent)
	waits("a wrong guess", 0, func() error {
		_, err := s.Attempt(ctx, "g.1", guess("wrong"), limited("g.any"))
		return ignore(err, watchword.ErrMismatch)
	})
	waits("a right guess", 1, func() error { _, err := s.Attempt(ctx, "g.1", guess("right"), limited("g.any")); return err })
	waits("a guess too late", 0, func() error {
		_, err := s.Attempt(ctx, "g.1", guess("right"), limited("g.any"))
		return ignore(err, watchword.ErrClosed)
	})
	waits("Close", 1, func() error { return s.Close(ctx, "g.2", watchword.Closing{State: watchword.StateCanceled}) })
	waits("Update", 1, func() error {
		return s.Update(ctx, watchword.Entry{ID: "g.1", Version: 1, State: watchword.StateApproved})
	})
	for id, want := range map[string]watchword.State{"g.1": watchword.StateApproved, "g.2": watchword.StateCanceled} {
		if e, err := onReplica.Get(ctx, id); err != nil || e.State != want {
			t.Errorf("the replica has %s in state %d (%v)", id, e.State, err)
		}
	}
	must(t, replica.Pause())
	_, err := s.Attempt(ctx, "g.3", guess("right"), limited("g.any"))
	wants(t, "a right guess while the replica hangs", err, redis.ErrNotReplicated)
	must(t, replica.Resume())
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// linked waits until a replica has a write of its master's; a replica that is online may still get none for a second.
func linked(t *testing.T, master *redistest.Server) {
	t.Helper()
	conn := master.Client(t).Conn()
	defer func() { _ = conn.Close() }()
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		must(t, conn.Set(t.Context(), "linked", 1, 0).Err())
		if n, err := conn.Wait(t.Context(), 1, 100*time.Millisecond).Result(); err == nil && n == 1 {
			return
		}
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the replica does not follow")
		}
	}
}

// On a Cluster the WAIT goes to the node that ran the script. Without replicas it says so.
func waitOnCluster(t *testing.T, cluster *redistest.Cluster) {
	ctx := t.Context()
	s := redis.New(open(t, cluster.URL()), redis.Config{Prefix: "wait", WaitReplicas: 1, Partitions: 1, Timeout: 400 * time.Millisecond})
	must(t, s.Create(ctx, entry("g.1")))
	must(t, s.Create(ctx, entry("g.2")))
	_, err := s.Attempt(ctx, "g.1", guess("wrong"), limited("g.any"))
	wants(t, "a wrong guess", err, watchword.ErrMismatch)
	_, err = s.Attempt(ctx, "g.1", guess("right"), limited("g.any"))
	wants(t, "a right guess without replicas", err, redis.ErrNotReplicated)

	const tag = "{wait:0}"
	from, err := cluster.Owner(ctx, tag)
	must(t, err)
	to := cluster.Other(from)
	must(t, cluster.Moving(ctx, tag, from, to))
	must(t, cluster.Move(ctx, from, to, tag+":e:g.1", tag+":e:g.2", tag+":b:g.any"))
	must(t, cluster.Moved(ctx, tag, to))
	_, err = s.Attempt(ctx, "g.2", guess("wrong"), limited("g.any"))
	wants(t, "a wrong guess where the slot has moved to", err, watchword.ErrMismatch)
}
