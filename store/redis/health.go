package redis

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// minVersion is the oldest Redis whose scripts and options are known to do.
const minVersion = 7

// Ping implements watchword.Pinger: an error unless the server, and on a Cluster every master, answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return failed("ping", s.eachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error { return c.Ping(ctx).Err() }))
}

// CheckPolicy returns an error unless the server, and on a Cluster every master, is Redis 7 or later (or a Valkey) and
// evicts nothing. Call it at start.
func (s *Store) CheckPolicy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return failed("check", s.eachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error {
		info, err := c.Info(ctx).Result()
		if err != nil {
			return err
		}
		return checkInfo(info)
	}))
}

func (s *Store) eachMaster(ctx context.Context, f func(ctx context.Context, c redis.UniversalClient) error) error {
	if cluster, ok := s.client.(*redis.ClusterClient); ok {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, c *redis.Client) error { return f(ctx, c) })
	}
	return f(ctx, s.client)
}

// policies are all that a server may have (redis.conf, maxmemory-policy).
var policies = []string{"noeviction", "allkeys-lru", "allkeys-lfu", "allkeys-lrm", "allkeys-random",
	"volatile-lru", "volatile-lfu", "volatile-lrm", "volatile-random", "volatile-ttl"}

// checkInfo reads what INFO says of version and policy. Valkey says which Redis it is compatible with. The error is a
// Failure, which repeats no text of the server's but a policy that is known.
func checkInfo(info string) error {
	fields := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	var problems []string
	major, _, _ := strings.Cut(fields["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < minVersion {
		problems = append(problems, fmt.Sprintf("the server is version %d; %d or later is needed", n, minVersion))
	}
	if policy := fields["maxmemory_policy"]; policy != "noeviction" {
		if !slices.Contains(policies, policy) {
			policy = "unknown"
		}
		problems = append(problems, fmt.Sprintf("maxmemory-policy is %q; it must be noeviction, because an evicted guess budget is a fresh one", policy))
	}
	if len(problems) > 0 {
		return outbound.Failure(strings.Join(problems, "; "))
	}
	return nil
}
