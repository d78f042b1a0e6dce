package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	idempotencyHeader = "Idempotency-Key"
	maxIdempotencyKey = 255

	// reservationTimeout bounds storing a response or releasing its key, in addition to operationTimeout.
	reservationTimeout = 2 * time.Second
)

// runOnce runs an operation at most once for each idempotency key of its app and path, and repeats the stored response byte
// for byte for later requests with that key. Temporary errors (5xx and 429) are not stored. A response is stored before it
// is sent, so a caller that has received it gets the same one again, unless storing it failed.
func (x *exchange) runOnce(ctx context.Context, o *operation, c *call, header []string) response {
	if len(header) != 1 || !isIdempotencyKey(header[0]) {
		return x.newProblemResponse(invalidField(idempotencyHeader, "must be 1 to 255 visible ASCII characters"))
	}
	scope := o.method + " " + c.request.URL.Path
	r, err := c.engine.ReserveStart(ctx, scope, header[0], c.body, o.purposeOf(c.body))
	if err != nil {
		return x.newProblemResponse(err)
	}
	if r.Response != nil {
		return x.decodeStoredResponse(r.Response)
	}
	c.seed, c.reservation = r.Seed, r
	finished := false
	defer func() { // also after a panic
		if !finished {
			x.endReservation(ctx, "idempotency key not released", r.Release)
		}
	}()
	a := x.runOperation(ctx, o, c)
	if a.status < http.StatusInternalServerError && a.status != http.StatusTooManyRequests {
		finished = true
		x.endReservation(ctx, "idempotent response not stored", func(ctx context.Context) error {
			return r.Finish(ctx, a.encode())
		})
	}
	return a
}

// purposeOf returns the purpose that a request starts a challenge for; empty if it starts none, or is refused for its body.
func (o *operation) purposeOf(body []byte) string {
	var start struct {
		Purpose string `json:"purpose"`
	}
	if !o.startsChallenge || json.Unmarshal(body, &start) != nil {
		return ""
	}
	return start.Purpose
}

// endReservation ends a reservation within its own timeout. A failure is logged and does not change the response.
func (x *exchange) endReservation(ctx context.Context, message string, end func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reservationTimeout)
	defer cancel()
	if err := end(ctx); err != nil {
		x.server.log.WarnContext(ctx, message, "request", x.requestID, "app", x.app.engine.App(), "cause", err.Error())
	}
}

// encode returns the stored form of a response: three digits of status, then the body.
func (r response) encode() []byte {
	return append(strconv.AppendInt(nil, int64(r.status), 10), r.body...)
}

var errStoredResponse = errors.New("server: stored response has no status")

func (x *exchange) decodeStoredResponse(record []byte) response {
	if len(record) < 3 {
		return x.newProblemResponse(errStoredResponse)
	}
	status, err := strconv.Atoi(string(record[:3]))
	if err != nil || status < http.StatusOK {
		return x.newProblemResponse(errStoredResponse)
	}
	return response{status, record[3:]}
}

// isIdempotencyKey accepts 1 to 255 visible ASCII characters, which proxies do not change.
func isIdempotencyKey(key string) bool {
	if key == "" || len(key) > maxIdempotencyKey {
		return false
	}
	for _, c := range []byte(key) {
		if c < '!' || c > '~' {
			return false
		}
	}
	return true
}
