// Package script runs Lua scripts and commands on Redis exactly once. go-redis repeats a command whose connection was
// cut, which would charge a try twice or turn a right code into "already used"; commands made here say that they must
// not be repeated. What the server refused without having run it is sent again: a script that it does not know yet, whole;
// on a Cluster, what has moved (go-redis follows MOVED and ASK, for these commands too) and what is about to.
package script

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Client is where commands are sent: a redis.UniversalClient, or one connection of it.
type Client interface {
	Process(ctx context.Context, cmd redis.Cmder) error
}

// A Script is Lua source and the name under which Redis remembers it. On a Cluster all its keys share a hash slot.
type Script struct{ source, sha string }

// New names a script. Nothing is sent to a server.
func New(source string) *Script {
	sum := sha1.Sum([]byte(source))
	return &Script{source: source, sha: hex.EncodeToString(sum[:])}
}

// Run executes the script in one round trip (two when the server does not know it yet) and returns its reply; redis.Nil
// if that is nothing. Any other error may mean that it ran and the reply was lost.
func (s *Script) Run(ctx context.Context, c Client, keys []string, args ...any) (any, error) {
	reply, err := sendWithRetry(ctx, c, "evalsha", s.sha, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return sendWithRetry(ctx, c, "eval", s.source, keys, args)
	}
	return reply, err
}

// Do sends one command whose first key, if it has any, is its second word.
func Do(ctx context.Context, c Client, args ...any) (any, error) {
	return sendOnce(ctx, c, 1, args)
}

// sendWithRetry waits a little while a Cluster's slot is on its way and has but one of the keys on either node: TRYAGAIN
// says that nothing ran. In all it waits a third of a second.
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

// sendOnce sends a command; its first key, by which a Cluster finds the node, is the word at firstKey.
func sendOnce(ctx context.Context, c Client, firstKey int8, line []any) (any, error) {
	cmd := noRetryCommand{redis.NewCmd(ctx, line...)}
	cmd.SetFirstKeyPos(firstKey)
	_ = c.Process(ctx, cmd) // the error is the command's too
	return cmd.Result()
}

// noRetryCommand is a command that go-redis does not repeat.
type noRetryCommand struct{ *redis.Cmd }

// NoRetry tells go-redis so.
func (noRetryCommand) NoRetry() bool { return true }
