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
	types   types
	cfg     *EventsConfig
	client  *http.Client
	backlog *backlog
	log     *slog.Logger // names the endpoint by number and host: its path may be a secret

	resume  time.Time // nothing is posted before: the receiver asked for it
	failing bool      // the last try failed
}

func newEndpoint(number int, wanted Endpoint, cfg *EventsConfig) (*endpoint, error) {
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
	return &endpoint{settings: settings, types: types, cfg: cfg, client: cfg.Environment.HTTPClient(), backlog: newBacklog(cfg.Length),
		log: cfg.Environment.Logger.With("endpoint", number, "host", target.Host)}, nil
}

// take puts an event into the backlog. Drops are logged at the first, the second, the fourth and so on, so that an endpoint
// that is gone does not fill the log.
func (e *endpoint) take(p pending) {
	if dropped := e.backlog.put(p); dropped > 0 && dropped&(dropped-1) == 0 {
		e.log.Error("too many events wait: the oldest is dropped", "dropped", dropped)
	}
}

// work tells the endpoint until ctx ends or it is gone; what is being posted then is finished while posting lasts.
func (e *endpoint) work(ctx, posting context.Context) {
	for ctx.Err() == nil && !e.backlog.isClosed() {
		if p, wait := e.turn(); p != nil {
			e.tell(posting, p)
		} else {
			e.backlog.await(ctx, wait)
		}
	}
}

// turn is the event that is due, or none and how long none will be.
func (e *endpoint) turn() (*pending, time.Duration) {
	now := e.cfg.Environment.Now()
	if wait := e.resume.Sub(now); wait > 0 {
		return nil, wait
	}
	return e.backlog.next(now)
}

// tell posts one event and decides what becomes of it.
func (e *endpoint) tell(ctx context.Context, p *pending) {
	err := e.post(ctx, e.client, p.id, e.cfg.Environment.Now(), p.body)
	var failed *watchword.SendError
	switch {
	case err == nil:
		e.backlog.remove(p)
		if e.failing {
			e.log.Info("events are taken again")
		}
		e.failing = false
	case errors.Is(err, answered(http.StatusGone)):
		lost := len(e.backlog.close())
		e.log.Error("the endpoint is gone: it gets no events until the next start", "lost", lost)
	case errors.As(err, &failed) && failed.Permanent:
		e.backlog.remove(p)
		e.log.Warn("event refused", "type", p.kind, "event", p.id, "error", err)
	default:
		e.again(p, failed, err)
	}
}

// again plans the next try, unless three days are over.
func (e *endpoint) again(p *pending, failed *watchword.SendError, err error) {
	now := e.cfg.Environment.Now()
	if failed != nil && failed.RetryAfter > 0 {
		e.resume = now.Add(failed.RetryAfter)
	}
	if !e.failing {
		e.log.Warn("events are not taken; they are tried again", "error", err)
	}
	e.failing = true
	p.tries++
	due := now.Add(e.cfg.wait(p.tries))
	if due.After(p.until) {
		e.backlog.remove(p)
		e.log.Error("event given up", "type", p.kind, "event", p.id, "tries", p.tries, "error", err)
		return
	}
	e.backlog.postpone(p, due)
}

// drain tries what is left once more, and says how much of it was lost.
func (e *endpoint) drain(posting context.Context) (lost int64) {
	for _, p := range e.backlog.close() {
		if posting.Err() != nil || e.post(posting, e.client, p.id, e.cfg.Environment.Now(), p.body) != nil {
			lost++
		}
	}
	return lost
}
