package redis

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/outbound"
)

const (
	// probeLife is for how long an entry of a probe is kept. A server whose clock is ahead by more has lost it at once.
	probeLife = 5 * time.Minute
	// probeGroupPrefix begins the first part of a probe's ids; those of the engine are shorter.
	probeGroupPrefix = "readiness"
)

const errEntryLost outbound.Failure = "an entry is gone as soon as it is written: the server's clock is ahead, or it evicts"

// Ping implements watchword.Pinger: an error unless the server, and on a Cluster every master, answers, has as many
// replicas online as Config.WaitReplicas asks for, and lets an entry and its budget be made, read, answered and closed by the
// scripts and under the keys that requests use. The entries are Ping's own, and are gone after five minutes. It is run once a
// second at most; in between the last result holds.
func (s *Store) Ping(ctx context.Context) error { return s.probes.Run(ctx, s.probe) }

func (s *Store) probe(ctx context.Context) error {
	if err := s.pingMasters(ctx); err != nil {
		return wrapCheckError("ping", err)
	}
	groups, err := s.probeGroups(ctx)
	if err != nil {
		return wrapCheckError("ping", err)
	}
	failed := make([]error, len(groups))
	var all sync.WaitGroup
	for i, group := range groups {
		all.Go(func() { failed[i] = s.probeMaster(ctx, group) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// pingMasters asks every server whether it is there, with enough replicas.
func (s *Store) pingMasters(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return s.forEachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		if s.waitReplicas > 0 {
			return s.checkReplicas(ctx, c, masterName(c))
		}
		return c.Ping(ctx).Err()
	})
}

// probeGroups names a group for each master: the first parts of ids that lie there.
func (s *Store) probeGroups(ctx context.Context) (groups []string, err error) {
	tags, masters := map[string]bool{}, map[string]bool{}
	for i := 0; len(tags) < len(s.tags); i++ {
		group := fmt.Sprint(probeGroupPrefix, i)
		tag := s.hashTag(group)
		if tags[tag] {
			continue
		}
		tags[tag] = true
		master := ""
		if cluster, ok := s.client.(*redis.ClusterClient); ok {
			node, err := cluster.MasterForKey(ctx, tag)
			if err != nil {
				return nil, err
			}
			master = masterName(node)
		}
		if !masters[master] {
			masters[master] = true
			groups = append(groups, group)
		}
	}
	return groups, nil
}

// probeMaster takes the steps of a challenge that is answered rightly.
func (s *Store) probeMaster(ctx context.Context, group string) error {
	id, digest := group+"."+rand.Text(), []byte(strings.Repeat("x", 32))
	until := time.Now().Add(probeLife)
	if err := s.Create(ctx, watchword.Entry{ID: id, Tries: 1, Digests: [][]byte{digest}, ExpiresAt: until, KeepUntil: until}); err != nil {
		return err
	}
	_, err := s.Get(ctx, id)
	if err == nil {
		_, err = s.Attempt(ctx, id, []watchword.Guess{{Digest: digest, State: watchword.StateApproved, Mark: digest}},
			watchword.Budget{Key: id, Limits: []watchword.Window{{Max: 1, Per: time.Second}}})
	}
	if errors.Is(err, watchword.ErrNotFound) || errors.Is(err, watchword.ErrExpired) {
		err = fmt.Errorf("redis: ping: %w", errEntryLost)
	}
	return err
}
