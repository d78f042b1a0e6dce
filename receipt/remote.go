package receipt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	fetchTimeout = 5 * time.Second  // of one request
	fetchPause   = 10 * time.Second // after each request, successful or not
	maxJWKSBytes = 64 << 10         // some 300 keys
	minFresh     = time.Minute      // even if the server's max-age is shorter
	defaultFresh = 10 * time.Minute // if the server sends no max-age
	maxFresh     = time.Hour        // even if the server's max-age is longer, so that withdrawn keys are dropped
	maxStale     = time.Hour        // in addition, while the server is unavailable
)

// remoteKeys is the keySource that fetches and caches the issuer's keys.
type remoteKeys struct {
	url    string
	client *http.Client
	now    func() time.Time

	mu         sync.Mutex
	set        keySet        // nil until a fetch has succeeded
	freshUntil time.Time     // of set
	fetchedAt  time.Time     // when the last fetch ended; zero: there was none
	fetchErr   error         // what came of it
	fetching   chan struct{} // closed when the fetch that is running ends; nil: none is
}

func newRemoteKeys(url string, client *http.Client, now func() time.Time) *remoteKeys {
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &remoteKeys{url: url, client: &own, now: now}
}

func (r *remoteKeys) current(ctx context.Context) (keySet, error) {
	r.mu.Lock()
	set, fresh := r.set, r.now().Before(r.freshUntil)
	r.mu.Unlock()
	if fresh {
		return set, nil
	}
	return r.refreshed(ctx)
}

func (r *remoteKeys) refreshed(ctx context.Context) (keySet, error) {
	if flight := r.joinFetch(ctx); flight != nil {
		select {
		case <-flight:
		case <-ctx.Done():
			return nil, unavailable(ctx.Err())
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.set == nil || !r.now().Before(r.freshUntil.Add(maxStale)) {
		return nil, unavailable(r.fetchErr)
	}
	return r.set, nil
}

// joinFetch starts a fetch or joins the running one, and returns the channel that is closed at its end. It returns nil during
// the pause after a fetch. A fetch serves all its callers, so it does not end with the context of the first.
func (r *remoteKeys) joinFetch(ctx context.Context) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fetching == nil {
		if !r.fetchedAt.IsZero() && r.now().Sub(r.fetchedAt) < fetchPause {
			return nil
		}
		r.fetching = make(chan struct{})
		go r.fetch(context.WithoutCancel(ctx))
	}
	return r.fetching
}

func (r *remoteKeys) fetch(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	set, fresh, err := r.download(ctx)

	r.mu.Lock()
	defer r.mu.Unlock()
	r.fetchedAt, r.fetchErr = r.now(), err
	if err == nil {
		r.set, r.freshUntil = set, r.fetchedAt.Add(fresh)
	}
	close(r.fetching)
	r.fetching = nil
}

// download sends one request and returns the keys and how long they are fresh.
func (r *remoteKeys) download(ctx context.Context) (keySet, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, 0, fmt.Errorf("receipt: JWKS: %w", err)
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("receipt: JWKS: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("receipt: JWKS: the server answered %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxJWKSBytes+1))
	if err != nil {
		return nil, 0, fmt.Errorf("receipt: JWKS: %w", err)
	}
	if len(body) > maxJWKSBytes {
		return nil, 0, errors.New("receipt: JWKS: more than 64 KiB")
	}
	set, err := parseJWKS(body)
	return set, parseFreshness(response.Header), err
}

// parseFreshness returns how long a response is fresh by max-age, no-cache and no-store of Cache-Control (RFC 9111 §5.2.2),
// limited to minFresh and maxFresh.
func parseFreshness(h http.Header) time.Duration {
	fresh := defaultFresh
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.ToLower(strings.TrimSpace(directive)), "=")
		switch name {
		case "no-store", "no-cache":
			return minFresh
		case "max-age":
			age, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 64)
			if err != nil {
				return minFresh
			}
			fresh = time.Duration(min(age, uint64(maxFresh/time.Second))) * time.Second
		}
	}
	return max(fresh, minFresh)
}

// unavailable returns a watchword.ErrUnavailable. It wraps the cause, so that errors.Is finds a context error.
func unavailable(cause error) error {
	return &watchword.Error{Code: watchword.ErrUnavailable.Code, Cause: cause}
}
