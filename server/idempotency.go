package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	idempotencyHeader = "Idempotency-Key"
	longestKey        = 255

	// keepTime is for keeping an answer, or giving its key back, however long the operation took.
	keepTime = 2 * time.Second
)

// once performs an operation at most once for each idempotency key of its app and path, and repeats the answer byte for
// byte to whoever asks again. Answers that would be others the next time (5xx and 429) are not kept. An answer is kept
// before it is sent, so whoever has seen it sees the same one again, unless the store failed just then.
func (x *exchange) once(ctx context.Context, o *operation, c *call, header []string) answer {
	if len(header) != 1 || !isIdempotencyKey(header[0]) {
		return x.refusal(invalid(idempotencyHeader, "must be 1 to 255 visible ASCII characters"))
	}
	r, err := c.engine.Reserve(ctx, o.method+" "+c.request.URL.Path, header[0], c.body)
	if err != nil {
		return x.refusal(err)
	}
	if r.Answer != nil {
		return x.repeat(r.Answer)
	}
	c.seed, c.reservation = r.Seed, r
	finished := false
	defer func() { // after a panic too
		if !finished {
			x.keep(ctx, "an idempotency key could not be given back", r.Release)
		}
	}()
	a := x.perform(ctx, o, c)
	if a.status < http.StatusInternalServerError && a.status != http.StatusTooManyRequests {
		finished = true
		x.keep(ctx, "an answer could not be kept for its idempotency key", func(ctx context.Context) error {
			return r.Finish(ctx, a.record())
		})
	}
	return a
}

// keep ends a reservation, in time of its own; what went wrong with that is logged, and the answer is right all the same.
func (x *exchange) keep(ctx context.Context, what string, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepTime)
	defer cancel()
	if err := end(ctx); err != nil {
		x.server.log.WarnContext(ctx, what, "request", x.id, "app", x.app.engine.App(), "cause", err.Error())
	}
}

// record is what is kept of an answer: three digits of status, and the body.
func (a answer) record() []byte {
	return append(strconv.AppendInt(nil, int64(a.status), 10), a.body...)
}

var errRecord = errors.New("server: a kept answer has no status")

func (x *exchange) repeat(record []byte) answer {
	if len(record) < 3 {
		return x.refusal(errRecord)
	}
	status, err := strconv.Atoi(string(record[:3]))
	if err != nil || status < http.StatusOK {
		return x.refusal(errRecord)
	}
	return answer{status, record[3:]}
}

// isIdempotencyKey wants visible ASCII: what proxies and logs do not change on the way.
func isIdempotencyKey(key string) bool {
	if key == "" || len(key) > longestKey {
		return false
	}
	for _, c := range []byte(key) {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}
