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
)

// minVersion is the oldest Redis whose scripts and options are known to do.
const minVersion = 7

// CheckPolicy returns an error unless the server, and on a Cluster every master, is Redis 7 or later (or a Valkey), evicts
// nothing, and has as many replicas online as Config.WaitReplicas asks for. Call it at start.
func (s *Store) CheckPolicy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	err := s.forEachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		info, err := c.Info(ctx).Result()
		if err != nil {
			return err
		}
		fields := parseInfo(info)
		err = checkInfo(fields)
		if s.waitReplicas > 0 {
			err = errors.Join(err, s.checkReplicaCount(masterName(c), fields))
		}
		return err
	})
	if err == nil {
		// The first request need not learn the server's clock then. On a Cluster each partition's first one does.
		_, err = s.readClock.Run(ctx, s.clocks, s.client, []string{s.tags[0]})
	}
	return wrapCheckError("check", err)
}

// Warnings says which servers could lose less than they are set to: where Config.WaitReplicas asks for replicas and the
// server's own min-replicas-to-write for fewer, a write is only found to have reached too few after it was made. A server
// that does not show its settings is not complained of.
func (s *Store) Warnings(ctx context.Context) (warnings []string) {
	if s.waitReplicas == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var mu sync.Mutex // masters are asked at the same time
	_ = s.forEachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		const setting = "min-replicas-to-write"
		settings, err := c.ConfigGet(ctx, setting).Result()
		if n, errNumber := strconv.Atoi(settings[setting]); err == nil && errNumber == nil && n < s.waitReplicas {
			mu.Lock()
			defer mu.Unlock()
			warnings = append(warnings, fmt.Sprintf("%s is %d at %s: set it to %d or more, so that the server refuses what too few replicas would get",
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

// parseInfo reads what INFO says, by name.
func parseInfo(info string) map[string]string {
	fields := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	return fields
}

// evictionPolicies are all that a server may have (redis.conf, maxmemory-policy).
var evictionPolicies = []string{"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-lrm", "allkeys-random",
	"volatile-lru", "volatile-lfu", "volatile-lrm", "volatile-random", "volatile-ttl"}

// checkInfo looks at version and policy. Valkey says which Redis it is compatible with. The error is a Failure, which
// repeats no text of the server's but a policy that is known.
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
		problems = append(problems, fmt.Sprintf("maxmemory-policy is %q; it must be noeviction, because an evicted guess budget is a fresh one", policy))
	}
	if len(problems) > 0 {
		return outbound.Failure(strings.Join(problems, "; "))
	}
	return nil
}

// wrapCheckError says what could not be found out.
func wrapCheckError(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis: %s: %w", what, describeError(err))
}
