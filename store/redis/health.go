package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/outbound"
	"github.com/watchword-auth/watchword/internal/script"
)

// minVersion is the oldest supported version of Redis.
const minVersion = 7

// CheckPolicy returns an error unless the server is Redis 7 or later (or Valkey), evicts no keys, and has at least
// Config.WaitReplicas replicas online. On a Cluster it checks every master. Call it at start.
func (s *Store) CheckPolicy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.forEachMaster(ctx, s.checkMaster)
	if err == nil {
		// Learn the server's clock now, so that the first request need not. On a Cluster the first request of each other
		// partition does.
		_, err = s.readClock.Run(ctx, s.clocks, s.client, []string{s.tags[0]})
	}
	return wrapCheckError("check", err)
}

// checkMaster checks the version, the eviction policy and the replicas of a master.
func (s *Store) checkMaster(ctx context.Context, c redis.UniversalClient) error {
	info, err := textReply(script.Do(ctx, c, "info", "server", "memory", "replication"))
	if err != nil {
		return err
	}
	fields := parseInfo(info)
	err = checkInfo(fields)
	if s.waitReplicas > 0 {
		err = errors.Join(err, s.checkReplicaCount(masterName(c), fields))
	}
	return err
}

// Warnings returns a text for each server whose min-replicas-to-write is lower than Config.WaitReplicas: such a server accepts
// a write that too few replicas receive, and ErrNotReplicated is found only afterwards. Servers that do not show their
// settings are skipped.
func (s *Store) Warnings(ctx context.Context) (warnings []string) {
	if s.waitReplicas == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var mu sync.Mutex // forEachMaster calls concurrently
	_ = s.forEachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		const setting = "min-replicas-to-write"
		settings, err := c.ConfigGet(ctx, setting).Result()
		if n, errNumber := strconv.Atoi(settings[setting]); err == nil && errNumber == nil && n < s.waitReplicas {
			mu.Lock()
			defer mu.Unlock()
			warnings = append(warnings, fmt.Sprintf("%s is %d at %s: set it to %d or more, so that the server refuses writes that too few replicas would receive",
				setting, n, masterName(c), s.waitReplicas))
		}
		return nil
	})
	slices.Sort(warnings)
	return warnings
}

func (s *Store) forEachMaster(ctx context.Context, f func(ctx context.Context, c redis.UniversalClient) error) error {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return f(ctx, c) })
	}
	return f(ctx, s.client)
}

// parseInfo returns the fields of an INFO reply by name.
func parseInfo(info string) map[string]string {
	fields := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

// evictionPolicies lists all values of maxmemory-policy (redis.conf).
var evictionPolicies = []string{"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-lrm", "allkeys-random",
	"volatile-lru", "volatile-lfu", "volatile-lrm", "volatile-random", "volatile-ttl"}

// checkInfo checks version and eviction policy. Valkey reports the version of Redis that it is compatible with. The error
// contains no text of the server except a known policy.
func checkInfo(fields map[string]string) error {
	var problems []string
	major, _, _ := strings.Cut(fields["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < minVersion {
		problems = append(problems, fmt.Sprintf("the server is version %d; %d or later is needed", n, minVersion))
	}
	if policy := fields["maxmemory_policy"]; policy != "noeviction" {
		if !slices.Contains(evictionPolicies, policy) {
			policy = "unknown"
		}
		problems = append(problems, fmt.Sprintf("maxmemory-policy is %q; it must be noeviction, because an evicted counter of failed attempts would begin at zero again", policy))
	}
	if len(problems) > 0 {
		return outbound.Failure(strings.Join(problems, "; "))
	}
	return nil
}

// wrapCheckError returns an error with the name of the check.
func wrapCheckError(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis: %s: %w", what, describeError(err))
}
