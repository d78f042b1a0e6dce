// Package script runs Lua scripts and commands on Redis at most once. go-redis repeats a command whose connection is lost, which
// could charge a try twice or report a right code as already used. Commands of this package are marked as not repeatable.
// Commands that the server refused without running them are sent again: a script that it does not know, with its source, and
// on a Cluster, commands for slots that have moved or are migrating (MOVED, ASK, TRYAGAIN).
package script

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"time"
	"unique"

	"github.com/redis/go-redis/v9"
)

// A Client sends commands: a redis.UniversalClient, one of its connections, or Lanes.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

// A Script is Lua source and its SHA-1, by which Redis caches it. On a Cluster all its keys must be in one hash slot. Scripts with
// the same source, such as those of the stores of many apps, share it.
type Script struct {
	source unique.Handle[string]
	sha    string
}

// New returns a Script. It sends nothing.
func New(source string) *Script {
	sum := sha1.Sum([]byte(source))
	return &Script{source: unique.Make(source), sha: hex.EncodeToString(sum[:])}
}

// Run executes the script in one round trip (two if the server does not know it) and returns its reply. The error for a nil
// reply is redis.Nil. After any other error the script may have run; see MayHaveRun.
func (s *Script) Run(ctx context.Context, c Client, keys []string, args ...any) (any, error) {
	reply, err := sendWithRetry(ctx, c, "evalsha", s.sha, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return sendWithRetry(ctx, c, "eval", s.source.Value(), keys, args)
	}
	return reply, err
}

// Do sends one command. If it has keys, the first one is its second argument.
func Do(ctx context.Context, c Client, args ...any) (any, error) {
	return sendOnce(ctx, c, 1, args)
}

// sendWithRetry repeats a script after TRYAGAIN, for a third of a second at most. A Cluster replies TRYAGAIN, without running the
// script, while a slot migrates and its keys are on different nodes.
func sendWithRetry(ctx context.Context, c Client, verb, script string, keys []string, args []any) (any, error) {
	line := make([]any, 0, 3+len(keys)+len(args))
	line = append(line, verb, script, len(keys))
	for _, k := range keys {
		line = append(line, k)
	}
	line = append(line, args...)
	first := int8(3)
	if len(keys) == 0 {
		first = 0
	}
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		reply, err := sendOnce(ctx, c, first, line)
		if wait > 160*time.Millisecond || !redis.HasErrorPrefix(err, "TRYAGAIN") {
			return reply, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(wait):
		}
	}
}

// sendOnce sends a command. firstKey is the position of its first key, by which a Cluster client selects the node.
func sendOnce(ctx context.Context, c Client, firstKey int8, line []any) (any, error) {
	cmd := noRetryCommand{Cmd: redis.NewCmd(ctx, line...)}
	cmd.SetFirstKeyPos(firstKey)
	if int(firstKey) < len(line) && firstKey > 0 {
		cmd.key, _ = line[firstKey].(string)
	}
	if err := c.Process(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Result()
}

// A noRetryCommand is a command that go-redis does not repeat.
type noRetryCommand struct {
	*redis.Cmd
	key string // its first one; empty: none
}

// NoRetry implements go-redis' interface for such commands.
func (noRetryCommand) NoRetry() bool { return true }
