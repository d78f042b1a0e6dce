package redis

import (
	"context"
	"fmt"
	"time"

	"github.com/ulule/limiter/v3"

	"github.com/watchword-auth/watchword/internal/script"
	"github.com/watchword-auth/watchword/ratelimit"
)

// Get spends one token of the key's window, if there is one. It implements limiter.Store.
func (s *Store) Get(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.Increment(ctx, key, 1, rate)
}

// Increment spends count tokens of the key's window, if there are as many. It implements limiter.Store.
func (s *Store) Increment(ctx context.Context, key string, count int64, rate limiter.Rate) (limiter.Context, error) {
	return s.runSingle(ctx, key, count, rate, 1)
}

// Peek returns the state of the key's window. It implements limiter.Store.
func (s *Store) Peek(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	return s.runSingle(ctx, key, 1, rate, 0)
}

// Reset removes the key's window. It implements limiter.Store.
func (s *Store) Reset(ctx context.Context, key string, rate limiter.Rate) (limiter.Context, error) {
	c, err := ratelimit.SingleCharge(key, 1, rate)
	if err != nil {
		return limiter.Context{}, err
	}
	if err := s.client.Del(ctx, s.singleKey(c)).Err(); err != nil {
		return limiter.Context{}, fmt.Errorf("ratelimit: redis: %w", script.Reason(err))
	}
	return s.Peek(ctx, key, rate)
}

// runSingle runs the script for one window. If spend is 1 it spends count tokens, if spend is 0 it only reads.
func (s *Store) runSingle(ctx context.Context, key string, count int64, rate limiter.Rate, spend int) (limiter.Context, error) {
	c, err := ratelimit.SingleCharge(key, count, rate)
	if err != nil {
		return limiter.Context{}, err
	}
	reply, err := s.parseReply(s.single.Run(ctx, s.clocks, s.lanes, []string{s.singleKey(c)}, append(scriptArguments([]ratelimit.Charge{c}), spend)...))
	if err != nil {
		return limiter.Context{}, err
	}
	if len(reply) != 3 {
		return limiter.Context{}, errReply
	}
	return ratelimit.NewLimiterContext(rate, reply[1], time.UnixMicro(reply[2]), reply[0] == 1), nil
}

// singleKey returns the key of a window that is never charged together with others, so it has no hash tag.
func (s *Store) singleKey(c ratelimit.Charge) string {
	return s.cfg.Prefix + ":" + c.Space + ":" + c.Key
}
