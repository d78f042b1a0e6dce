package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
)

// An endpoint posts events to an Endpoint. One goroutine calls run and drainOnce; only the backlog is shared with others.
type endpoint struct {
	settings
	config  Endpoint
	types   typeFilter
	cfg     *DispatcherConfig
	client  *http.Client
	backlog *backlog
	log     *slog.Logger // names the endpoint by number and host, because its path may be a secret

	pausedUntil time.Time // from Retry-After: no event is posted before
	failing     bool      // the last try failed

	queue *queueState // nil: events wait in memory only

	stop context.CancelFunc // ends run; nil before it begins; Dispatcher.mu protects it
}

func newEndpoint(number int, config Endpoint, cfg *DispatcherConfig) (*endpoint, error) {
	field := fmt.Sprintf("Endpoints[%d].", number)
	settings, errURL := parseEndpoint(config.URL.Reveal(), cfg.Environment)
	if errURL != nil {
		errURL = setting.Errorf(field+"URL", "%w", errURL)
	}
	types, errTypes := parseTypes(field+"Types", config.Types)
	if err := errors.Join(errURL, errTypes); err != nil {
		return nil, err
	}
	return &endpoint{settings: settings, config: config, types: types, cfg: cfg, client: cfg.Environment.HTTPClient(), backlog: newBacklog(cfg.MaxPending, cfg.Space),
		log: cfg.Environment.Logger.With("endpoint", number, "host", settings.target.Host)}, nil
}

// hasSameConfig reports whether two endpoints have the same URL, secrets included, and the same types.
func (e *endpoint) hasSameConfig(other *endpoint) bool {
	sameQueue := e.queue == nil || other.queue == nil || e.queue.id == other.queue.id
	return sameQueue && e.config.URL.Reveal() == other.config.URL.Reveal() && slices.Equal(e.config.Types, other.config.Types)
}

// enqueue adds an event to the backlog. It logs the first, second, fourth, eighth ... dropped event, so that an unavailable
// endpoint does not fill the log.
func (e *endpoint) enqueue(p pendingEvent) {
	if dropped := e.backlog.put(p); dropped > 0 && dropped&(dropped-1) == 0 {
		e.log.Error("event queue full, oldest event dropped", "dropped", dropped)
	}
}

// run posts events until ctx ends or the endpoint answers 410. Requests use postCtx, so that one in progress can finish.
func (e *endpoint) run(ctx, postCtx context.Context) {
	for ctx.Err() == nil && !e.backlog.isClosed() {
		if p, wait := e.nextDue(); p != nil {
			e.deliver(postCtx, p)
		} else {
			e.backlog.wait(ctx, wait)
		}
	}
}

// nextDue returns the event that is due, or nil and the time until one will be. A negative time means that there is no event.
func (e *endpoint) nextDue() (*pendingEvent, time.Duration) {
	now := e.cfg.Environment.Now()
	if wait := e.pausedUntil.Sub(now); wait > 0 {
		return nil, wait
	}
	return e.backlog.next(now)
}

// deliver posts one event, and then removes it from the backlog or postpones it.
func (e *endpoint) deliver(ctx context.Context, p *pendingEvent) {
	err := e.post(ctx, e.client, p.id, e.cfg.Environment.Now(), p.body)
	var failed *watchword.SendError
	switch {
	case err == nil:
		e.backlog.remove(p)
		if e.failing {
			e.log.Info("event delivery recovered")
		}
		e.failing = false
	case errors.Is(err, statusError(http.StatusGone)):
		if e.queue != nil {
			e.turnOff(ctx)
			return
		}
		lost := len(e.backlog.close())
		e.log.Error("endpoint answered 410, no more events until restart", "lost", lost)
	case errors.As(err, &failed) && failed.Permanent:
		e.backlog.remove(p)
		e.log.Warn("event refused by endpoint", "type", p.eventType, "event", p.id, "error", err)
	default:
		e.retryOrGiveUp(p, failed, err)
	}
}

// retryOrGiveUp postpones the event, or removes it if the next try would be after the retry period.
func (e *endpoint) retryOrGiveUp(p *pendingEvent, failed *watchword.SendError, err error) {
	now := e.cfg.Environment.Now()
	if failed != nil && failed.RetryAfter > 0 {
		e.pausedUntil = now.Add(failed.RetryAfter)
	}
	if !e.failing {
		e.log.Warn("event delivery failed, retrying", "error", err)
	}
	e.failing = true
	p.tries++
	due := now.Add(e.cfg.retryDelay(p.tries))
	if due.After(p.giveUpAt) {
		e.backlog.remove(p)
		e.log.Error("event delivery given up", "type", p.eventType, "event", p.id, "tries", p.tries, "error", err)
		return
	}
	e.backlog.postpone(p, due)
}

// drainOnce posts each remaining event once, and returns the number of events that were lost.
func (e *endpoint) drainOnce(postCtx context.Context) (lost int64) {
	for _, p := range e.backlog.close() {
		if postCtx.Err() != nil || e.post(postCtx, e.client, p.id, e.cfg.Environment.Now(), p.body) != nil {
			lost++
		}
	}
	return lost
}
