package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// An Endpoint wants to hear of events.
type Endpoint struct {
	// URL is https://host/path?secret=whsec_..., spelled like a sender's or without webhook+ in front. Two secrets
	// sign twice, while one replaces the other.
	URL watchword.Code
	// Types are the events that it gets: names, or beginnings such as challenge.*; none: every event.
	Types []string
}

// An DispatcherConfig says who hears of events, and how stubbornly. Zero values are usable.
type DispatcherConfig struct {
	Endpoints   []Endpoint
	Environment delivery.Environment

	MaxPending   int           // events that may wait for one endpoint, 8 MiB of them at most; beyond, its oldest is dropped; zero: 10,000
	Backoff      time.Duration // the longest wait before the second try; it doubles with each, up to 4 hours; zero: 5 seconds
	DrainTimeout time.Duration // how long Run goes on after its context has ended; zero: 5 seconds

	Jitter func(limit time.Duration) time.Duration // a wait from zero up to limit; nil: uniformly random
}

const (
	maxBackoff  = 4 * time.Hour
	retryPeriod = 3 * 24 * time.Hour // after an event happened
)

// Dispatcher tells endpoints what happened, as Standard Webhooks 1.0 says: each event is posted to each endpoint that wants
// it, signed, and tried again for three days with the same id. What waits is in the process's memory and ends with it.
// Endpoints do not wait for one another; each gets one event at a time, in the order of their happening but for those
// that have to be tried again.
//
// 2xx: taken. 408, 425, 429, 5xx, silence and a broken connection: again, later, and nothing at all before Retry-After.
// 410: the endpoint gets nothing any more until the process starts again. Anything else, a redirect included: never.
type Dispatcher struct {
	cfg       DispatcherConfig
	endpoints []*endpoint
}

// NewDispatcher makes Events, or reports everything that is wrong with any endpoint.
func NewDispatcher(cfg DispatcherConfig) (*Dispatcher, error) {
	cfg.setDefaults()
	s := &Dispatcher{cfg: cfg}
	var problems []error
	for i, wanted := range cfg.Endpoints {
		e, err := newEndpoint(i, wanted, &s.cfg)
		if err != nil {
			problems = append(problems, err)
		}
		s.endpoints = append(s.endpoints, e)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return s, nil
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

// retryDelay is how long to wait after so many tries: the half of a doubling limit, and a random part of the other half.
func (c *DispatcherConfig) retryDelay(tries int) time.Duration {
	half := min(c.Backoff<<min(tries-1, 16), maxBackoff) / 2
	return half + c.Jitter(half)
}

// parseEndpoint reads an endpoint's URL like a sender's; its errors hold no part of it.
func parseEndpoint(text string, env delivery.Environment) (settings, error) {
	if text == "" {
		return settings{}, errors.New("missing")
	}
	u, err := url.Parse(text)
	if err != nil {
		return settings{}, errors.New("the URL cannot be parsed") // url.Error holds it
	}
	s, err := parseURL(u, env.Development)
	err = errors.Join(err, env.CheckHost(u.Hostname()))
	if u.Query().Has("format") {
		err = errors.Join(err, errors.New("the parameter format is for messages; events have one form"))
	}
	return s, err
}

// eventPayload is an event on the wire. What it does not have is left out.
type eventPayload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"` // of the event
	Data      eventData `json:"data"`
}

type eventData struct {
	App         string            `json:"app,omitempty"`
	ChallengeID string            `json:"challenge_id,omitempty"`
	Strategy    string            `json:"strategy,omitempty"`
	Purpose     string            `json:"purpose,omitempty"`
	Subject     string            `json:"subject,omitempty"`
	Channel     string            `json:"channel,omitempty"`
	Provider    string            `json:"provider,omitempty"`
	Factor      string            `json:"factor,omitempty"`
	Limit       string            `json:"limit,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

// HandleEvent takes an engine's event. It waits for nobody: it is made for watchword.Config.Events.
func (s *Dispatcher) HandleEvent(ctx context.Context, ev watchword.Event) {
	p := pendingEvent{eventType: ev.Type}
	for _, e := range s.endpoints {
		if !e.types.matches(ev.Type) {
			continue
		}
		if p.body == nil {
			if err := s.encode(&p, ev); err != nil {
				s.cfg.Environment.Logger.ErrorContext(ctx, "an event cannot be written", "type", ev.Type, "error", err)
				return
			}
		}
		e.enqueue(p)
	}
}

// encode makes what every endpoint gets of an event: the same id and the same bytes.
func (s *Dispatcher) encode(p *pendingEvent, ev watchword.Event) error {
	var id [16]byte
	if _, err := io.ReadFull(s.cfg.Environment.Random, id[:]); err != nil {
		return err
	}
	body, err := json.Marshal(eventPayload{Type: ev.Type, Timestamp: ev.At.UTC().Truncate(time.Millisecond), Data: eventData{
		App: ev.App, ChallengeID: ev.ChallengeID, Strategy: ev.Strategy, Purpose: ev.Purpose, Subject: ev.Subject,
		Channel: ev.Channel, Provider: ev.Provider, Factor: ev.Factor, Limit: ev.Limit, Metadata: ev.Metadata}})
	now := s.cfg.Environment.Now()
	p.id, p.body, p.due, p.giveUpAt = "evt_"+base64.RawURLEncoding.EncodeToString(id[:]), body, now, now.Add(retryPeriod)
	return err
}

// Run tells the endpoints until the context ends; then each event that still waits is tried once more, as far as the
// time to drain allows. The error says how many were lost. Run it once.
func (s *Dispatcher) Run(ctx context.Context) error {
	posting, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var workers sync.WaitGroup
	var lost atomic.Int64
	for _, e := range s.endpoints {
		workers.Go(func() {
			e.run(ctx, posting)
			lost.Add(e.drainOnce(posting))
		})
	}
	<-ctx.Done()
	defer time.AfterFunc(s.cfg.DrainTimeout, stop).Stop()
	workers.Wait()
	if n := lost.Load(); n > 0 {
		return fmt.Errorf("webhook: %d events could not be told before the end", n)
	}
	return nil
}
