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

// ErrNotReplicated means that the step was taken but fewer replicas than Config.WaitReplicas said in time that they have it.
var ErrNotReplicated = errors.New("redis: written, but not to enough replicas")

const errClient outbound.Failure = "WaitReplicas needs a *redis.Client or *redis.ClusterClient"

// runAndWait runs a script and WAITs for its writes. Redis counts the writes of one connection, so both go over the same,
// to the master of the keys' slot; where a slot has moved to the client learns on the way. While a slot is being moved,
// what has moved already is not reached.
func (s *Store) runAndWait(ctx context.Context, sc *script.Script, keys []string, wrote func(reply string) bool, args ...any) (string, error) {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		reply, err := s.runOnMaster(ctx, sc, keys, wrote, args...)
		cluster, ok := s.client.(*redis.ClusterClient)
		if !ok || !redis.HasErrorPrefix(err, "MOVED") || wait > 160*time.Millisecond {
			return reply, err
		}
		cluster.ReloadState(ctx)
		select {
		case <-ctx.Done():
			return "", err
		case <-time.After(wait):
		}
	}
}

func (s *Store) runOnMaster(ctx context.Context, sc *script.Script, keys []string, wrote func(reply string) bool, args ...any) (string, error) {
	conn, err := s.connection(ctx, keys[0])
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	reply, err := text(sc.Run(ctx, conn, keys, args...))
	if err != nil || !wrote(reply) {
		return reply, err
	}
	have, err := script.Do(ctx, conn, "wait", s.waitReplicas, (s.timeout / 2).Milliseconds())
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrNotReplicated, script.Reason(err))
	}
	if n, ok := have.(int64); !ok || n < int64(s.waitReplicas) {
		return "", ErrNotReplicated
	}
	return reply, nil
}

// connection is one to the master of a key, until it is closed.
func (s *Store) connection(ctx context.Context, key string) (*redis.Conn, error) {
	switch c := s.client.(type) {
	case *redis.Client:
		return c.Conn(), nil
	case *redis.ClusterClient:
		master, err := c.MasterForKey(ctx, key)
		if err != nil {
			return nil, err
		}
		return master.Conn(), nil
	}
	return nil, errClient
}
