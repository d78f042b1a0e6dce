package redis

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// minVersion is the oldest Redis whose scripts and options are known to do.
const minVersion = 7

// Ping implements watchword.Pinger: an error unless the server, and on a Cluster every master, answers.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return checked("ping", s.eachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error { return c.Ping(ctx).Err() }))
}

// CheckPolicy returns an error unless the server, and on a Cluster every master, is Redis 7 or later (or a Valkey) and
// evicts nothing. Call it at start.
func (s *Store) CheckPolicy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	return checked("check", s.eachMaster(ctx, func(ctx context.Context, c redis.UniversalClient) error {
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

// checkInfo reads what INFO says of version and policy. Valkey says which Redis it is compatible with.
func checkInfo(info string) error {
	fields := map[string]string{}
	for lines := bufio.NewScanner(strings.NewReader(info)); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok {
			fields[name] = strings.TrimSpace(value)
		}
	}
	var problems []error
	major, _, _ := strings.Cut(fields["redis_version"], ".")
	if n, err := strconv.Atoi(major); err != nil || n < minVersion {
		problems = append(problems, fmt.Errorf("the server is version %q; %d or later is needed", fields["redis_version"], minVersion))
	}
	if policy := fields["maxmemory_policy"]; policy != "noeviction" {
		problems = append(problems, fmt.Errorf("maxmemory-policy is %q; it must be noeviction, because an evicted guess budget is a fresh one", policy))
	}
	return errors.Join(problems...)
}

// checked says what could not be found out.
func checked(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redis: %s: %w", what, err)
}
