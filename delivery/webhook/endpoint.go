package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/setting"
)

// endpoint is an Endpoint at work. What is not in its backlog belongs to the one goroutine that works for it.
type endpoint struct {
	settings
	types   typeFilter
	cfg     *DispatcherConfig
	client  *http.Client
	backlog *backlog
	log     *slog.Logger // names the endpoint by number and host: its path may be a secret

	pausedUntil time.Time // nothing is posted before: the receiver asked for it
	failing     bool      // the last try failed
}

func newEndpoint(number int, wanted Endpoint, cfg *DispatcherConfig) (*endpoint, error) {
	field := fmt.Sprintf("Endpoints[%d].", number)
	settings, errURL := parseEndpoint(wanted.URL.Reveal(), cfg.Environment)
	if errURL != nil {
		errURL = setting.Errorf(field+"URL", "%w", errURL)
	}
	types, errTypes := parseTypes(field+"Types", wanted.Types)
	if err := errors.Join(errURL, errTypes); err != nil {
		return nil, err
	}
	target, err := url.Parse(settings.target)
	if err != nil {
		return nil, errors.New("the URL cannot be parsed")
	}
	return &endpoint{settings: settings, types: types, cfg: cfg, client: cfg.Environment.HTTPClient(), backlog: newBacklog(cfg.MaxPending),
		log: cfg.Environment.Logger.With("endpoint", number, "host", target.Host)}, nil
}

// enqueue puts an event into the backlog. Drops are logged at the first, the second, the fourth and so on, so that an endpoint
// that is gone does not fill the log.
func (e *endpoint) enqueue(p pendingEvent) {
	if dropped := e.backlog.put(p); dropped > 0 && dropped&(dropped-1) == 0 {
		e.log.Error("too many events wait: the oldest is dropped", "dropped", dropped)
	}
}

// run tells the endpoint until ctx ends or it is gone; what is being posted then is finished while posting lasts.
func (e *endpoint) run(ctx, posting context.Context) {
	for ctx.Err() == nil && !e.backlog.isClosed() {
		if p, wait := e.nextDue(); p != nil {
			e.deliver(posting, p)
		} else {
			e.backlog.wait(ctx, wait)
		}
	}
}

// nextDue is the event that is due, or none and how long none will be.
func (e *endpoint) nextDue() (*pendingEvent, time.Duration) {
	now := e.cfg.Environment.Now()
	if wait := e.pausedUntil.Sub(now); wait > 0 {
		return nil, wait
	}
	return e.backlog.next(now)
}

// deliver posts one event and decides what becomes of it.
func (e *endpoint) deliver(ctx context.Context, p *pendingEvent) {
	err := e.post(ctx, e.client, p.id, e.cfg.Environment.Now(), p.body)
	var failed *watchword.SendError
	switch {
	case err == nil:
		e.backlog.remove(p)
		if e.failing {
			e.log.Info("events are taken again")
		}
		e.failing = false
	case errors.Is(err, statusError(http.StatusGone)):
		lost := len(e.backlog.close())
		e.log.Error("the endpoint is gone: it gets no events until the next start", "lost", lost)
	case errors.As(err, &failed) && failed.Permanent:
		e.backlog.remove(p)
		e.log.Warn("event refused", "type", p.eventType, "event", p.id, "error", err)
	default:
		e.retryOrGiveUp(p, failed, err)
	}
}

// retryOrGiveUp plans the next try, unless three days are over.
func (e *endpoint) retryOrGiveUp(p *pendingEvent, failed *watchword.SendError, err error) {
	now := e.cfg.Environment.Now()
	if failed != nil && failed.RetryAfter > 0 {
		e.pausedUntil = now.Add(failed.RetryAfter)
	}
	if !e.failing {
		e.log.Warn("events are not taken; they are tried again", "error", err)
	}
	e.failing = true
	p.tries++
	due := now.Add(e.cfg.retryDelay(p.tries))
	if due.After(p.giveUpAt) {
		e.backlog.remove(p)
		e.log.Error("event given up", "type", p.eventType, "event", p.id, "tries", p.tries, "error", err)
		return
	}
	e.backlog.postpone(p, due)
}

// drainOnce tries what is left once more, and says how much of it was lost.
func (e *endpoint) drainOnce(posting context.Context) (lost int64) {
	for _, p := range e.backlog.close() {
		if posting.Err() != nil || e.post(posting, e.client, p.id, e.cfg.Environment.Now(), p.body) != nil {
			lost++
		}
	}
	return lost
}
