// Package script runs a Lua script on Redis exactly once. go-redis repeats a command whose connection was cut, which
// would charge a try twice or turn a right code into "already used"; commands made here say that they must not be
// repeated. A script that the server does not know yet did not run, so it is sent again whole.
package script

import (
	"context"
	"crypto/sha1"
	"encoding/hex"

	"github.com/redis/go-redis/v9"
)

// A Script is Lua source and the name under which Redis remembers it. On a Cluster all its keys share a hash slot.
type Script struct{ source, sha string }

// New names a script. Nothing is sent to a server.
func New(source string) *Script {
	sum := sha1.Sum([]byte(source))
	return &Script{source: source, sha: hex.EncodeToString(sum[:])}
}

// Run executes the script in one round trip (two when the server does not know it yet) and returns its reply. An error
// may mean that it ran and the reply was lost.
func (s *Script) Run(ctx context.Context, c redis.UniversalClient, keys []string, args ...any) (any, error) {
	reply, err := once(ctx, c, "evalsha", s.sha, keys, args)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		return once(ctx, c, "eval", s.source, keys, args)
	}
	return reply, err
}

func once(ctx context.Context, c redis.UniversalClient, verb, script string, keys []string, args []any) (any, error) {
	line := make([]any, 0, 3+len(keys)+len(args))
	line = append(line, verb, script, len(keys))
	for _, k := range keys {
		line = append(line, k)
	}
	cmd := onceCmd{redis.NewCmd(ctx, append(line, args...)...)}
	if len(keys) > 0 {
		cmd.SetFirstKeyPos(3)
	}
	_ = c.Process(ctx, cmd)
	return cmd.Result()
}

// onceCmd is a command that go-redis does not repeat.
type onceCmd struct{ *redis.Cmd }

// NoRetry tells go-redis so.
func (onceCmd) NoRetry() bool { return true }
