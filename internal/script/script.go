// Package script runs Lua scripts and commands on Redis at most once. go-redis repeats a command whose connection is lost, which
// could charge a try twice or report a right code as already used. Commands of this package are marked as not repeatable.
// Commands that the server refused without running them are sent again: a script that it does not know, with its source, and
// on a Cluster, commands for slots that have moved or are migrating (MOVED, ASK, TRYAGAIN).
package script

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"slices"
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
	return s.send(ctx, c, s.command(keys, args))
}

// command returns the command that executes the script by its SHA-1. more are further arguments.
func (s *Script) command(keys []string, args []any, more ...any) []any {
	line := make([]any, 0, firstKey+len(keys)+len(args)+len(more))
	line = append(line, "evalsha", s.sha, len(keys))
	for _, k := range keys {
		line = append(line, k)
	}
	line = append(line, args...)
	return append(line, more...)
}

// firstKey is the position of a script's first key in its command.
const firstKey = 3

// send sends a command of this script, with the source if the server does not know the script.
func (s *Script) send(ctx context.Context, c Client, line []any) (any, error) {
	reply, err := sendWithRetry(ctx, c, line)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		line = slices.Clone(line)
		line[0], line[1] = "eval", s.source.Value()
		return sendWithRetry(ctx, c, line)
	}
	return reply, err
}

// Do sends one command. If it has keys, the first one is its second argument.
func Do(ctx context.Context, c Client, args ...any) (any, error) {
	return sendOnce(ctx, c, 1, args)
}

// sendWithRetry repeats a script after TRYAGAIN, for a third of a second at most. A Cluster replies TRYAGAIN, without running the
// script, while a slot migrates and its keys are on different nodes.
func sendWithRetry(ctx context.Context, c Client, line []any) (any, error) {
	first := int8(firstKey)
	if line[2] == 0 {
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

// sendOnce sends a command. first is the position of its first key, by which a Cluster client selects the node.
func sendOnce(ctx context.Context, c Client, first int8, line []any) (any, error) {
	cmd := noRetryCommand{Cmd: redis.NewCmd(ctx, line...)}
	cmd.SetFirstKeyPos(first)
	if int(first) < len(line) && first > 0 {
		cmd.key, _ = line[first].(string)
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
