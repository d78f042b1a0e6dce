package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	firstDelay   = 250 * time.Millisecond
	longestDelay = 4 * time.Second
	longestWait  = 5 * time.Second // a server that asks for more is not waited for
	maxResponse  = 1 << 20         // bytes
)

// A request is one call of the API.
type request struct {
	method, path   string
	body           any // nil: none
	wait           time.Duration
	idempotencyKey string // of a POST; empty: a random one
	authorization  string
}

// send sends a request, repeats it where that has no further effect, and decodes the response into out. A nil out discards it.
func (c *Client) send(ctx context.Context, r request, out any, options ...Option) error {
	for _, o := range options {
		o(&r)
	}
	var body []byte
	if r.body != nil {
		var err error
		if body, err = json.Marshal(r.body); err != nil {
			return fmt.Errorf("client: encode request: %w", err)
		}
	}
	if r.method == http.MethodPost {
		r.idempotencyKey = cmp.Or(r.idempotencyKey, rand.Text())
	}
	for tries := 0; ; tries++ {
		err := c.try(ctx, &r, body, out)
		if err == nil || ctx.Err() != nil || tries >= c.retries || !r.canRepeat(err) {
			return err
		}
		if c.pause(ctx, delayBefore(tries, err)) != nil {
			return err
		}
	}
}

func (c *Client) try(ctx context.Context, r *request, body []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+r.wait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, r.method, c.url+r.path, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	r.setHeaders(req.Header, c.key.Reveal())
	res, err := c.http.Do(req)
	if err != nil {
		return &connectionError{fmt.Errorf("client: %s %s: %w", r.method, r.path, withoutURL(err))}
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponse))
	if err != nil {
		return &connectionError{fmt.Errorf("client: %s %s: %w", r.method, r.path, err)}
	}
	if res.StatusCode/100 != 2 {
		return newProblem(r, res, text)
	}
	if out == nil || res.StatusCode == http.StatusNoContent {
		return nil
	}
	if err := json.Unmarshal(text, out); err != nil {
		return fmt.Errorf("client: %s %s: the response is not of the expected form: %w", r.method, r.path, err)
	}
	return nil
}

func (r *request) setHeaders(h http.Header, key string) {
	h.Set("Authorization", "Bearer "+key)
	h.Set("Accept", "application/json")
	h.Set("User-Agent", "watchword-client-go")
	if r.body != nil {
		h.Set("Content-Type", "application/json")
	}
	if r.idempotencyKey != "" && r.method == http.MethodPost {
		h.Set("Idempotency-Key", r.idempotencyKey)
	}
	if r.authorization != "" {
		h.Set("Watchword-Authorization", r.authorization)
	}
}

// A connectionError is a request without a response: what became of it is unknown.
type connectionError struct{ error }

// Unwrap returns the error of the connection.
func (e *connectionError) Unwrap() error { return e.error }

// withoutURL returns the cause of a *url.Error, whose text repeats the URL.
func withoutURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// canRepeat reports whether a repetition has no further effect: always if nothing has happened, and otherwise only for a POST, which
// has an Idempotency-Key, and for a GET.
func (r *request) canRepeat(err error) bool {
	safe := r.method == http.MethodPost || r.method == http.MethodGet
	var p *Problem
	if !errors.As(err, &p) {
		var broken *connectionError
		return errors.As(err, &broken) && safe
	}
	switch {
	case errors.Is(err, watchword.ErrUnavailable):
		return safe || !p.cause.Unknown
	case p.Code == "idempotency_in_flight", p.Code == "" && p.isTemporary():
		return safe
	}
	return false
}

func delayBefore(tries int, err error) time.Duration {
	var p *Problem
	if errors.As(err, &p) && p.RetryAfter > 0 {
		return min(p.RetryAfter, longestWait)
	}
	delay := min(firstDelay<<tries, longestDelay)
	return delay/2 + mathrand.N(delay/2+1)
}
