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
	"github.com/watchword-auth/watchword/internal/script"
)

const (
	// probeLife is the lifetime of a probe's entries. A server whose clock is ahead by more expires them at once.
	probeLife = 5 * time.Minute
	// probeGroupPrefix is the beginning of a probe's ids. The engine's ids have a shorter first part.
	probeGroupPrefix = "readiness"
)

const errEntryLost outbound.Failure = "an entry disappears at once: the server's clock is ahead, or it evicts keys"

// Ping implements watchword.Pinger. It returns an error unless the server passes the checks of CheckPolicy and executes the
// scripts of requests, with all commands in them, on a test entry and its budget. On a Cluster it checks every master. Test
// entries expire after five minutes. Ping checks at most once a second and otherwise returns the last result.
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

// pingMasters sends every master the commands that requests need only at times: a script with its source, WAIT and, on a
// Cluster, those for slots that move. Then it checks the master's settings.
func (s *Store) pingMasters(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	commands := [][]any{{"eval", "return 1", 0}}
	if s.waitReplicas > 0 {
		commands = append(commands, []any{"wait", 0, 0})
	}
	if _, cluster := s.client.(*redis.ClusterClient); cluster {
		commands = append(commands, []any{"cluster", "slots"}, []any{"asking"})
	}
	return s.forEachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		for _, command := range commands {
			if _, err := script.Do(ctx, c, command...); err != nil {
				return err
			}
		}
		return s.checkMaster(ctx, c)
	})
}

// probeGroups returns for each master a group, the first part of ids, that is stored on it.
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

// probeMaster takes the steps of a challenge with a wrong and a right answer.
func (s *Store) probeMaster(ctx context.Context, group string) error {
	id, digest := group+"."+rand.Text(), []byte(strings.Repeat("x", 32))
	until := time.Now().Add(probeLife)
	if err := s.Create(ctx, watchword.Entry{ID: id, Tries: 2, Digests: [][]byte{digest}, ExpiresAt: until, KeepUntil: until}); err != nil {
		return err
	}
	_, err := s.Get(ctx, id)
	budget := watchword.Budget{Key: id, Limits: []watchword.Window{{Max: 2, Per: time.Second}}}
	if err == nil {
		if _, err = s.Attempt(ctx, id, nil, budget); errors.Is(err, watchword.ErrMismatch) {
			_, err = s.Attempt(ctx, id, []watchword.Guess{{Digest: digest, State: watchword.StateApproved, Mark: digest}}, budget)
		}
	}
	if errors.Is(err, watchword.ErrNotFound) || errors.Is(err, watchword.ErrExpired) {
		err = fmt.Errorf("redis: ping: %w", errEntryLost)
	}
	return err
}
