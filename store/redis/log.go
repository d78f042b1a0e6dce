package redis

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// LogTo sends what go-redis says of its own accord, of servers that it cannot reach say, to a logger as warnings. It holds
// for every go-redis client of the process; otherwise such lines go to stderr. Call it once, at start.
func LogTo(logger *slog.Logger) { redis.SetLogger(lines{logger}) }

// lines is a logger of go-redis.
type lines struct{ to *slog.Logger }

// Printf takes one line.
func (l lines) Printf(ctx context.Context, format string, args ...any) {
	l.to.WarnContext(ctx, "redis client", slog.String("said", fmt.Sprintf(format, args...)))
}
