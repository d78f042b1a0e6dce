package redis

import (
	"context"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/script"
)

// SetClientLogger sets the logger for messages of go-redis itself, for example about failed connections. Each message becomes a
// warning with its kind and the reason of a failure, but not its text, which may quote the server. The logger applies to all
// go-redis clients of the process; without it, go-redis writes to stderr. Call SetClientLogger once, at start.
func SetClientLogger(logger *slog.Logger) { redis.SetLogger(clientLogger{logger}) }

// clientLogger implements go-redis' logger.
type clientLogger struct{ logger *slog.Logger }

// Printf logs one message. It uses the errors among the arguments only.
func (l clientLogger) Printf(ctx context.Context, format string, args ...any) {
	attributes := []slog.Attr{slog.String("kind", messageKind(format))}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			attributes = append(attributes, slog.Any("error", script.Reason(err)))
		}
	}
	l.logger.LogAttrs(ctx, slog.LevelWarn, "redis client", attributes...)
}

// clientMessages maps prefixes of go-redis' format strings to kinds, the longer ones first.
var clientMessages = []struct{ prefix, kind string }{
	{"sentinel: new master=", "Sentinel names a new master"},
	{"sentinel: GetMasterAddrByName", "Sentinel does not name the master"},
	{"sentinel: discovered new sentinel=", "Sentinel found"},
	{"sentinel: ", "Sentinel"},
	{"cluster: ", "Cluster"},
	{"redis: all nodes are marked as failed", "all nodes fail"},
	{"redis: connection pool: failed to dial", "connection failed"},
	{"redis: connection pool: ", "connection pool"},
	{"redis: failed to close", "connection not closed"},
	{"pubsub: ", "subscription"},
}

func messageKind(format string) string {
	for _, message := range clientMessages {
		if strings.HasPrefix(format, message.prefix) {
			return message.kind
		}
	}
	return "unknown"
}
