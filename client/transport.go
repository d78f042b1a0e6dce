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

	// While the server still answers an earlier try of a call, the next one waits for it. It answers after 10 seconds at most, and
	// what a server that ended has left unanswered is taken over after 12.
	longestInFlight      = 15 * time.Second
	longestInFlightDelay = time.Second
)

// A request is one call of the API.
type request struct {
	method, path   string
	body           any // nil: none
	wait           time.Duration
	idempotencyKey string // of a POST; empty: a random one
	authorization  string
}

// send sends a request, repeats it where that has no further effect, and decodes the response into out. A nil out expects none.
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
	repeats := repetitions{retries: c.retries}
	for {
		err := c.try(ctx, &r, body, out)
		if err == nil || ctx.Err() != nil {
			return err
		}
		delay, again := repeats.next(&r, err)
		if !again || pause(ctx, delay) != nil {
			return err
		}
	}
}

// repetitions decides whether one call is repeated.
type repetitions struct {
	retries       int
	failures      int
	inFlight      int       // responses with that code
	inFlightUntil time.Time // zero: there was none
}

// next returns how long to wait before the next try, and whether there is one.
func (p *repetitions) next(r *request, err error) (delay time.Duration, again bool) {
	if !r.canRepeat(err) {
		return 0, false
	}
	if errors.Is(err, watchword.ErrIdempotencyInFlight) && p.retries > 0 {
		if p.inFlightUntil.IsZero() {
			p.inFlightUntil = time.Now().Add(longestInFlight)
		}
		delay = delayBefore(p.inFlight, longestInFlightDelay, err)
		p.inFlight++
		return delay, !time.Now().Add(delay).After(p.inFlightUntil)
	}
	delay = delayBefore(p.failures, longestDelay, err)
	p.failures++
	return delay, p.failures <= p.retries
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
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
	text, err := io.ReadAll(io.LimitReader(res.Body, maxResponse+1))
	if err != nil {
		return &connectionError{fmt.Errorf("client: %s %s: %w", r.method, r.path, err)}
	}
	if len(text) > maxResponse {
		return fmt.Errorf("client: %s %s: the response is larger than %d bytes", r.method, r.path, maxResponse)
	}
	if res.StatusCode/100 != 2 || (out == nil) != (res.StatusCode == http.StatusNoContent) {
		return newProblem(r, res, text)
	}
	if out == nil {
		return nil
	}
	if err := decodeResponse(text, out); err != nil {
		return fmt.Errorf("client: %s %s: the response is not of the expected form: %w", r.method, r.path, err)
	}
	return nil
}

// decodeResponse decodes a successful response. What verifies a person must have a receipt, its claims, or the factor of an enrolment: a
// server that is none of watchword's, and answers everything with 200, verifies nobody.
func decodeResponse(text []byte, out any) error {
	if err := json.Unmarshal(text, out); err != nil {
		return err
	}
	switch o := out.(type) {
	case *Approval:
		if o.Status != watchword.Approved || o.Receipt == "" && o.Factor == nil {
			return errors.New("it has no receipt and no factor")
		}
	case *watchword.Claims:
		if o.ID == "" || o.Purpose == "" {
			return errors.New("it has no claims")
		}
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
	case errors.Is(err, watchword.ErrIdempotencyInFlight), p.Code == "" && p.isTemporary():
		return safe
	}
	return false
}

func delayBefore(tries int, longest time.Duration, err error) time.Duration {
	var p *Problem
	if errors.As(err, &p) && p.RetryAfter > 0 {
		return min(p.RetryAfter, longestWait)
	}
	delay := min(firstDelay<<min(tries, 10), longest)
	return delay/2 + mathrand.N(delay/2+1)
}
