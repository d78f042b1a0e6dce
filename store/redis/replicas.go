package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/outbound"
	"github.com/watchword-auth/watchword/internal/script"
)

// ErrNotReplicated means that the write was made, but fewer than Config.WaitReplicas replicas acknowledged it in time.
var ErrNotReplicated error = outbound.Failure("redis: written, but not to enough replicas")

// ErrTooFewReplicas means that nothing was written: fewer replicas are online than Config.WaitReplicas, or than the server's
// min-replicas-to-write.
var ErrTooFewReplicas error = outbound.Failure("redis: too few replicas are online, so nothing is written")

const errUnsupportedClient outbound.Failure = "WaitReplicas needs a *redis.Client or *redis.ClusterClient"

// runAndWait runs a script and WAITs for its writes. WAIT counts the writes of its own connection, so both use the same
// connection, to the master of the keys' slot. After a MOVED reply, and if the known master has too few replicas (it may no
// longer be the master), the client reloads the topology. While a slot is migrating, keys that have already moved fail.
func (s *Store) runAndWait(ctx context.Context, sc script.Timed, keys []string, wrote func(reply string) bool, args ...any) (string, error) {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		reply, err := s.runOnMaster(ctx, sc, keys, wrote, args...)
		cluster, ok := s.client.(*redis.ClusterClient)
		moved := redis.HasErrorPrefix(err, "MOVED")
		if ok && (moved || errors.Is(err, ErrTooFewReplicas)) {
			cluster.ReloadState(ctx)
		}
		if !ok || !moved || wait > 160*time.Millisecond {
			return reply, err
		}
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(wait):
		}
	}
}

func (s *Store) runOnMaster(ctx context.Context, sc script.Timed, keys []string, wrote func(reply string) bool, args ...any) (string, error) {
	master, err := s.masterForKey(ctx, keys[0])
	if err != nil {
		return "", err
	}
	conn, name := master.Conn(), masterName(master)
	defer func() { _ = conn.Close() }()
	if s.replication.isUnderReplicated(name) {
		if err := s.checkReplicas(ctx, conn, name); err != nil {
			return "", err
		}
	}
	reply, err := textReply(sc.Run(ctx, s.clocks, conn, keys, args...))
	if err != nil || !wrote(reply) {
		return reply, err
	}
	have, err := script.Do(ctx, conn, "wait", s.waitReplicas, (s.timeout / 2).Milliseconds())
	if n, ok := have.(int64); err == nil && ok && n >= int64(s.waitReplicas) {
		return reply, nil
	}
	s.replication.markUnderReplicated(name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotReplicated, script.Reason(err))
	}
	return "", ErrNotReplicated
}

// masterForKey returns the master of a key. Without a Cluster there is only one.
func (s *Store) masterForKey(ctx context.Context, key string) (*redis.Client, error) {
	switch c := s.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, key)
	}
	return nil, errUnsupportedClient
}
