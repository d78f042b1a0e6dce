package webhook

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// An Endpoint is a URL that receives events.
type Endpoint struct {
	// URL is https://host/path?secret=whsec_...; the scheme may have the prefix webhook+, as in a sender's URL. With two secrets
	// each request has two signatures, so that a receiver can change from one secret to the other.
	URL watchword.Code
	// Types are the types of events that the endpoint receives: names, or patterns such as challenge.*. Empty: all.
	Types []string
}

// A DispatcherConfig configures a Dispatcher. The zero value of each field selects its default.
type DispatcherConfig struct {
	Endpoints   []Endpoint
	Environment delivery.Environment

	MaxPending   int           // most pending events of one endpoint, of 8 MiB together; then the oldest is dropped; zero: 10,000
	Space        *Space        // bounds the pending events of all Dispatchers that share it; nil: each endpoint only has its own bound
	Backoff      time.Duration // longest delay before the second try; it doubles with each try, up to 4 hours; zero: 5 seconds
	DrainTimeout time.Duration // how long Run continues after its context has ended; zero: 5 seconds

	Jitter func(limit time.Duration) time.Duration // returns a delay from zero up to limit; nil: uniformly random

	Queue *Queue // where events wait; nil: in memory
}

const (
	maxBackoff  = 4 * time.Hour
	retryPeriod = 3 * 24 * time.Hour // after the event
)

// A Dispatcher posts events to endpoints, signed according to Standard Webhooks 1.0. It posts each event to each endpoint whose
// Types match, and retries for three days with the same id. Ids sort by time. Endpoints are independent of each other.
//
// Without a Queue, pending events are in memory and are lost when the process ends. Each endpoint gets one event at a time, in the
// order of the events except for retries.
//
// With a Queue, pending events are there, encrypted. Those for which watchword.IsQueued holds are lost by no crash, and may be posted
// more than once. Events that an attacker can cause in any number (challenge.failed, limit.reached, link.scanner_suspected) wait in
// memory all the same. The others are put into the queue right after they happened. Each endpoint gets up to eight events at a time,
// one while it fails.
//
// A 2xx answer means that the endpoint has accepted the event. The statuses 408, 425, 429 and 5xx, time-outs and broken connections
// are temporary: the event is retried, and Retry-After delays all events of the endpoint. After a 410 the endpoint gets no more
// events until the process restarts; with a Queue, until its URL or its types change, in all processes. Every other status, including
// redirects, is permanent: the event is not retried. With a Queue it becomes a dead letter, as one that was retried in vain.
type Dispatcher struct {
	cfg       DispatcherConfig
	endpoints atomic.Pointer[[]*endpoint]
	handovers chan struct{} // one element for each event that is being queued in the background

	mu    sync.Mutex
	start func(e *endpoint) // starts posting to an endpoint; nil while Run does not run

	publishing sync.Once
	publishers sync.WaitGroup
}

// NewDispatcher returns a Dispatcher, or an error that lists every problem of every endpoint.
func NewDispatcher(cfg DispatcherConfig) (*Dispatcher, error) {
	cfg.setDefaults()
	d := &Dispatcher{cfg: cfg, handovers: make(chan struct{}, maxHandovers)}
	var problems []error
	var endpoints []*endpoint
	for i, config := range cfg.Endpoints {
		e, err := newEndpoint(i, config, &d.cfg)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if cfg.Queue != nil {
			e.queue = newQueueState(cfg.Queue, e, countTarget(endpoints, e.target.String()))
		}
		endpoints = append(endpoints, e)
	}
	d.endpoints.Store(&endpoints)
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return d, nil
}

// countTarget returns how many endpoints have a URL.
func countTarget(endpoints []*endpoint, target string) (n int) {
	for _, e := range endpoints {
		if e.target.String() == target {
			n++
		}
	}
	return n
}

func (c *DispatcherConfig) setDefaults() {
	c.Environment = c.Environment.WithDefaults()
	if c.MaxPending == 0 {
		c.MaxPending = 10_000
	}
	if c.Backoff == 0 {
		c.Backoff = 5 * time.Second
	}
	if c.DrainTimeout == 0 {
		c.DrainTimeout = 5 * time.Second
	}
	if c.Jitter == nil {
		c.Jitter = func(limit time.Duration) time.Duration { return rand.N(max(limit, 1)) }
	}
}

// retryDelay returns the delay after a number of tries: half of a limit that doubles with each try, plus a random part of the
// other half.
func (c *DispatcherConfig) retryDelay(tries int) time.Duration {
	half := min(c.Backoff<<min(tries-1, 16), maxBackoff) / 2
	return half + c.Jitter(half)
}

// parseEndpoint parses an endpoint's URL like a sender's. Errors contain no part of the URL.
func parseEndpoint(text string, env delivery.Environment) (settings, error) {
	if text == "" {
		return settings{}, errors.New("missing")
	}
	u, err := url.Parse(text)
	if err != nil {
		return settings{}, errors.New("the URL cannot be parsed") // url.Error contains the URL
	}
	s, err := parseURL(u, env.Development)
	s.userAgent = env.WithDefaults().UserAgent
	err = errors.Join(err, env.CheckHost(u.Hostname()))
	if u.Query().Has("format") {
		err = errors.Join(err, errors.New("the parameter format is for messages; events have one format"))
	}
	return s, err
}

// HandleEvent queues an event for the endpoints. It does not block. Use it as Events of watchword.Config. With a Queue it ignores
// events that the store has queued.
func (d *Dispatcher) HandleEvent(ctx context.Context, ev watchword.Event) {
	if d.cfg.Queue != nil {
		if watchword.IsQueued(ev.Type) || !d.Subscribes(ev.Type) {
			return
		}
		if ev.ID = d.newEventID(ctx, ev); ev.ID != "" && !isBestEffort(ev.Type) && d.handOver(ctx, ev) {
			return
		}
	}
	d.keepInMemory(ctx, ev)
}

// keepInMemory adds an event to the backlogs of the endpoints.
func (d *Dispatcher) keepInMemory(ctx context.Context, ev watchword.Event) {
	p := pendingEvent{eventType: ev.Type}
	for _, e := range *d.endpoints.Load() {
		if !e.types.matches(ev.Type) {
			continue
		}
		if p.body == nil {
			if err := d.encode(ctx, &p, ev); err != nil {
				d.cfg.Environment.Logger.ErrorContext(ctx, "event encoding failed", "type", ev.Type, "error", err)
				return
			}
		}
		e.enqueue(p)
	}
}

// newEventID returns an id for an event that has none, or an empty text without random bytes.
func (d *Dispatcher) newEventID(ctx context.Context, ev watchword.Event) string {
	var random [10]byte
	if _, err := io.ReadFull(d.cfg.Environment.Random, random[:]); err != nil {
		d.cfg.Environment.Logger.ErrorContext(ctx, "event id not made", "type", ev.Type, "error", err)
		return ""
	}
	return watchword.NewEventID(ev.At, random)
}

// encode sets the id, body and times of a pending event. They are the same for every endpoint.
func (d *Dispatcher) encode(ctx context.Context, p *pendingEvent, ev watchword.Event) (err error) {
	if p.id = ev.ID; p.id == "" {
		p.id = d.newEventID(ctx, ev)
	}
	if p.id == "" {
		return errors.New("no random bytes")
	}
	now := d.cfg.Environment.Now()
	p.due, p.giveUpAt = now, now.Add(retryPeriod)
	p.body, err = EncodeEvent(ev)
	return err
}

// Run posts events until the context ends. Then it tries each event in memory once more, within DrainTimeout. The error says how
// many events were lost. What waits in a Queue stays there. Call Run only once.
func (d *Dispatcher) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	var lost atomic.Int64
	d.mu.Lock()
	d.start = func(e *endpoint) {
		d.startPublishing(ctx)
		endpointCtx, stop := context.WithCancel(ctx)
		e.stop = stop
		workers.Go(func() {
			defer stop()
			left := d.serve(endpointCtx, e)
			if left > 0 && ctx.Err() == nil {
				e.log.Error("events not delivered to removed endpoint", "lost", left)
				return
			}
			lost.Add(left)
		})
	}
	for _, e := range *d.endpoints.Load() {
		d.start(e)
	}
	d.mu.Unlock()
	<-ctx.Done()
	d.mu.Lock()
	d.start = nil
	d.mu.Unlock()
	d.publishers.Wait()
	workers.Wait()
	if n := lost.Load(); n > 0 {
		return fmt.Errorf("webhook: %d events not delivered before the shutdown", n)
	}
	return nil
}

// startPublishing starts publish when there is the first endpoint.
func (d *Dispatcher) startPublishing(ctx context.Context) {
	if d.cfg.Queue != nil {
		d.publishing.Do(func() { d.publishers.Go(func() { d.publish(ctx) }) })
	}
}

// serve posts events to one endpoint until the context ends. Then it tries each pending event once more, within DrainTimeout. It
// returns how many were lost.
func (d *Dispatcher) serve(ctx context.Context, e *endpoint) (lost int64) {
	postCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(d.cfg.DrainTimeout, stop) })()
	var posting sync.WaitGroup
	defer posting.Wait()
	if e.queue != nil {
		posting.Go(func() { e.postQueue(ctx, postCtx) })
	}
	e.run(ctx, postCtx)
	<-ctx.Done() // run may have ended before, after a 410
	return e.drainOnce(postCtx)
}

// Adopt replaces the endpoints by those of next, which must not run, as when the configuration is reloaded. An endpoint with the
// same URL and types keeps its pending events. Those of an endpoint that is not in next are tried once more, within DrainTimeout.
func (d *Dispatcher) Adopt(next *Dispatcher) {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := *d.endpoints.Load()
	var endpoints []*endpoint
	for _, e := range *next.endpoints.Load() {
		if i := slices.IndexFunc(old, e.hasSameConfig); i >= 0 {
			endpoints, old = append(endpoints, old[i]), slices.Concat(old[:i], old[i+1:])
			continue
		}
		endpoints = append(endpoints, e)
		if d.start != nil {
			d.start(e)
		}
	}
	d.endpoints.Store(&endpoints)
	for _, e := range old {
		if e.stop != nil {
			e.stop()
		}
	}
}
