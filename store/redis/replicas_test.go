package redis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/store/redis"
)

// With WaitReplicas a challenge that was reported as closed is closed on a replica too.
func TestStoreWaitsForReplicas(t *testing.T) {
	server := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port := server.HostPort()
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	ctx := t.Context()
	must(t, server.AwaitReplica(ctx))
	client, sent := open(t, server.URL()), &commands{}
	s := newStore(client, redis.Config{WaitReplicas: 1})
	onReplica := newStore(open(t, replica.URL()), redis.Config{})
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
	err := withoutReplicas(t, server, func() error { _, err := s.Attempt(ctx, "g.3", guess("right"), limited("g.any")); return err })
	wants(t, "a right guess while the replica hangs", err, redis.ErrNotReplicated)
	must(t, replica.Resume())
}

func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}

// withoutReplicas makes a call that waits for a replica which does not answer. It ends the WAIT as the server does after the time-out.
func withoutReplicas(t *testing.T, server *redistest.Server, call func() error) error {
	t.Helper()
	done, client := make(chan error, 1), server.Client(t)
	go func() { done <- call() }()
	for {
		select {
		case err := <-done:
			return err
		case <-time.After(5 * time.Millisecond):
		}
		clients, err := client.ClientList(t.Context()).Result() // id=3 addr=... cmd=wait ...
		must(t, err)
		for _, line := range strings.Split(clients, "\n") {
			var id int64
			if strings.Contains(line, " cmd=wait ") {
				_, _ = fmt.Sscanf(line, "id=%d ", &id)
				must(t, client.ClientUnblock(t.Context(), id).Err())
			}
		}
	}
}

// newReplicatedStore returns a store that waits for one replica, with the pending entries g.1 to g.4, and a connected
// replica.
func newReplicatedStore(t *testing.T) (s *redis.Store, master, replica *redistest.Server, sent *commands) {
	t.Helper()
	master = redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port := master.HostPort()
	replica = redistest.Start(t, "--replicaof", host+" "+port)
	must(t, master.AwaitReplica(t.Context()))
	client, sent := open(t, master.URL()), &commands{}
	s = newStore(client, redis.Config{WaitReplicas: 1})
	for _, id := range []string{"g.1", "g.2", "g.3", "g.4", "g.5"} {
		must(t, s.Create(t.Context(), entry(id)))
	}
	// so that the server knows the script; nothing waits for the replica, which may be slow to confirm its first writes
	_, err := s.Attempt(t.Context(), "g.5", guess("wrong"), limited("g.any"))
	must(t, ignore(err, watchword.ErrMismatch))
	client.AddHook(sent)
	return s, master, replica, sent
}

// wantNothingWritten makes all calls that write: each is refused before it writes, and pending entries do not change.
func wantNothingWritten(t *testing.T, s *redis.Store, sent *commands) {
	t.Helper()
	ctx := t.Context()
	sent.take()
	for name, call := range map[string]func() error{
		"a right guess": func() error { _, err := s.Attempt(ctx, "g.2", guess("right"), limited("g.any")); return err },
		"a wrong guess": func() error { _, err := s.Attempt(ctx, "g.3", guess("wrong"), limited("g.any")); return err },
		"Close":         func() error { return s.Close(ctx, "g.4", watchword.Closing{State: watchword.StateCanceled}) },
		"Update":        func() error { return s.Update(ctx, watchword.Entry{ID: "g.4", Version: 1}) },
	} {
		if err := call(); !errors.Is(err, redis.ErrTooFewReplicas) || errors.Is(err, redis.ErrNotReplicated) {
			t.Errorf("%s: got %v, want %v", name, err, redis.ErrTooFewReplicas)
		}
	}
	if names := sent.take(); slices.Contains(names, "evalsha") || slices.Contains(names, "eval") {
		t.Errorf("sent %v", names)
	}
	for _, id := range []string{"g.2", "g.3", "g.4"} {
		if e, err := s.Get(ctx, id); err != nil || e.State != watchword.StatePending || e.Used != 0 || e.Version != 1 {
			t.Errorf("%s is in state %d after %d tries, version %d (%v)", id, e.State, e.Used, e.Version, err)
		}
	}
}

// wantReplicationResumes waits until the store is ready and checks that calls succeed.
func wantReplicationResumes(t *testing.T, s *redis.Store, master *redistest.Server) {
	t.Helper()
	waitUntilAvailable(t, s)
	must(t, master.AwaitReplica(t.Context()))
	_, err := s.Attempt(t.Context(), "g.2", guess("right"), limited("g.any"))
	must(t, err)
}

func TestStoreWritesNothingWhileReplicaIsGone(t *testing.T) {
	s, master, replica, sent := newReplicatedStore(t)
	must(t, s.PingNow(t.Context()))
	replica.Stop()
	err := withoutReplicas(t, master, func() error { _, err := s.Attempt(t.Context(), "g.1", guess("right"), limited("g.any")); return err })
	wants(t, "the first right guess without the replica", err, redis.ErrNotReplicated)
	wantNothingWritten(t, s, sent)
	wants(t, "Ping", s.PingNow(t.Context()), redis.ErrTooFewReplicas)
	must(t, replica.Start())
	wantReplicationResumes(t, s, master)
}

// A hanging replica is reported as online for a minute, but does not have the last writes.
func TestStoreWritesNothingWhileReplicaHangs(t *testing.T) {
	s, master, replica, sent := newReplicatedStore(t)
	must(t, replica.Pause())
	err := withoutReplicas(t, master, func() error { _, err := s.Attempt(t.Context(), "g.1", guess("right"), limited("g.any")); return err })
	wants(t, "the first right guess without the replica", err, redis.ErrNotReplicated)
	for range 3 {
		wantNothingWritten(t, s, sent)
	}
	wants(t, "Ping", s.PingNow(t.Context()), redis.ErrTooFewReplicas)
	must(t, replica.Resume())
	wantReplicationResumes(t, s, master)
}

// If Ping runs before, no right answer is used up.
func TestPingFailsWhenReplicaIsGone(t *testing.T) {
	s, master, replica, sent := newReplicatedStore(t)
	replica.Stop()
	must(t, master.AwaitNoReplica(t.Context()))
	wants(t, "Ping", s.PingNow(t.Context()), redis.ErrTooFewReplicas)
	wantNothingWritten(t, s, sent)
	must(t, replica.Start())
	wantReplicationResumes(t, s, master)
}

func TestCheckPolicyRefusesTooFewReplicas(t *testing.T) {
	server := redistest.Start(t)
	client := open(t, server.URL())
	wants(t, "with one to wait for", newStore(client, redis.Config{WaitReplicas: 1}).CheckPolicy(t.Context()), redis.ErrTooFewReplicas)
	must(t, newStore(client, redis.Config{}).CheckPolicy(t.Context()))
	s, _, _, _ := newReplicatedStore(t)
	must(t, s.CheckPolicy(t.Context()))
}

// With min-replicas-to-write the server itself refuses writes, even if the store does not wait for replicas.
func TestStoreReportsRefusalForTooFewReplicas(t *testing.T) {
	server := redistest.Start(t)
	s := newStore(open(t, server.URL()), redis.Config{})
	must(t, s.Create(t.Context(), entry("g.1")))
	_, err := server.Do(t.Context(), "config", "set", "min-replicas-to-write", 1)
	must(t, err)
	_, err = s.Attempt(t.Context(), "g.1", guess("right"), limited("g.any"))
	wants(t, "a right guess", err, redis.ErrTooFewReplicas)
	_, err = s.Attempt(t.Context(), "g.1", guess("wrong"), limited("g.any"))
	wants(t, "a wrong guess", err, redis.ErrTooFewReplicas)
	wants(t, "Close", s.Close(t.Context(), "g.1", watchword.Closing{State: watchword.StateCanceled}), redis.ErrTooFewReplicas)
	wants(t, "Update", s.Update(t.Context(), watchword.Entry{ID: "g.1", Version: 1}), redis.ErrTooFewReplicas)
	wants(t, "Create", s.Create(t.Context(), entry("g.2")), redis.ErrTooFewReplicas)
	if e, err := s.Get(t.Context(), "g.1"); err != nil || e.State != watchword.StatePending || e.Used != 0 || e.Version != 1 {
		t.Errorf("after refusals: %+v, %v", e, err)
	}
}

func TestWarningsNameServersWithTooLowMinReplicas(t *testing.T) {
	ctx := t.Context()
	server := redistest.Start(t)
	client := open(t, server.URL())
	s := newStore(client, redis.Config{WaitReplicas: 2})
	for setting, warned := range map[int]int{0: 1, 1: 1, 2: 0, 3: 0} {
		_, err := server.Do(ctx, "config", "set", "min-replicas-to-write", setting)
		must(t, err)
		if got := s.Warnings(ctx); len(got) != warned || warned == 1 && !strings.Contains(got[0], server.Addr) {
			t.Errorf("set to %d: %q", setting, got)
		}
	}
	_, err := server.Do(ctx, "config", "set", "min-replicas-to-write", 0)
	must(t, err)
	if got := newStore(client, redis.Config{}).Warnings(ctx); got != nil {
		t.Errorf("no call waits for replicas, but %q was sent", got)
	}
	_, err = server.Do(ctx, "acl", "setuser", "limited", "on", ">secret", "~*", "+@all", "-config")
	must(t, err)
	denied := newStore(open(t, "redis://limited:secret@"+server.Addr), redis.Config{WaitReplicas: 2})
	if got := denied.Warnings(ctx); got != nil {
		t.Errorf("a server that does not show its settings: %q", got)
	}
}

// On a Cluster, WAIT is sent to the node that ran the script, and each master needs its own replicas.
func testWaitOnCluster(t *testing.T, cluster *redistest.Cluster) {
	ctx := t.Context()
	client, cfg := open(t, cluster.URL()), redis.Config{Prefix: "wait", WaitReplicas: 1, Partitions: 1}
	s := newStore(client, cfg)
	must(t, s.Create(ctx, entry("g.1")))
	must(t, s.Create(ctx, entry("g.2")))
	_, err := s.Attempt(ctx, "g.1", guess("wrong"), limited("g.any"))
	wants(t, "a wrong guess", err, watchword.ErrMismatch)
	const tag = "{wait:0}"
	from, err := cluster.SlotOwner(ctx, tag)
	must(t, err)
	err = withoutReplicas(t, from, func() error { _, err := s.Attempt(ctx, "g.1", guess("right"), limited("g.any")); return err })
	wants(t, "a right guess without replicas", err, redis.ErrNotReplicated)
	_, err = s.Attempt(ctx, "g.2", guess("right"), limited("g.any"))
	wants(t, "the next one", err, redis.ErrTooFewReplicas)
	unaware := newStore(client, cfg) // does not know the writes of the others
	wants(t, "Ping", newStore(client, cfg).PingNow(ctx), redis.ErrTooFewReplicas)
	wants(t, "CheckPolicy", newStore(client, cfg).CheckPolicy(ctx), redis.ErrTooFewReplicas)
	if warnings := s.Warnings(ctx); len(warnings) != len(cluster.Nodes) {
		t.Errorf("of %d masters: %q", len(cluster.Nodes), warnings)
	}

	to := cluster.OtherNode(from)
	must(t, cluster.BeginSlotMove(ctx, tag, from, to))
	must(t, cluster.MoveKeys(ctx, from, to, tag+":e:g.1", tag+":e:g.2", tag+":b:g.any"))
	must(t, cluster.FinishSlotMove(ctx, tag, to))
	_, err = unaware.Attempt(ctx, "g.2", guess("wrong"), limited("g.any"))
	wants(t, "a wrong guess where the slot has moved to", err, watchword.ErrMismatch)
	// The recorded state belongs to the old master. The store detects the new one.
	eventually(t, "the slot has moved, but not for the store", func() error {
		_, err := s.Attempt(ctx, "g.2", guess("wrong"), limited("g.any"))
		return ignore(err, watchword.ErrMismatch)
	})
}
