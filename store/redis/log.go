package redis

import (
	"context"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/script"
)

// SetClientLogger sends what go-redis logs of its own accord, of servers that it cannot reach say, to a logger as warnings: what kind
// of message it is, and why something failed, but never its text, which quotes servers. It holds for every go-redis client
// of the process; otherwise such lines go to stderr. Call it once, at start.
func SetClientLogger(logger *slog.Logger) { redis.SetLogger(clientLogger{logger}) }

// clientLogger is a logger of go-redis.
type clientLogger struct{ logger *slog.Logger }

// Printf takes one message. Of its arguments only an error is looked at.
func (l clientLogger) Printf(ctx context.Context, format string, args ...any) {
	attributes := []slog.Attr{slog.String("kind", messageKind(format))}
	for _, arg := range args {
		if err, ok := arg.(error); ok {
			attributes = append(attributes, slog.Any("error", script.Reason(err)))
		}
	}
	l.logger.LogAttrs(ctx, slog.LevelWarn, "redis client", attributes...)
}

// clientMessages are the beginnings of go-redis' formats, the longer ones first. They are constants there.
var clientMessages = []struct{ beginning, kind string }{
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
	for _, known := range clientMessages {
		if strings.HasPrefix(format, known.beginning) {
			return known.kind
		}
	}
	return "unknown"
}
