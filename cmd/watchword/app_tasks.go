package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/ratelimit"
)

// appTasks are what an app keeps while its configuration is reloaded: the messages and events that wait, what works on them beside
// the requests, and counts.
type appTasks struct {
	outbox    watchword.Outbox
	engine    currentEngine // that composes the messages of the outbox
	sender    currentSender // that sends them
	router    atomic.Pointer[delivery.Router]
	publisher *eventPublisher
	events    *publisherQueue          // nil: events wait in this process
	breaker   *delivery.PrefixBreaker  // nil without limits
	throttle  *ratelimit.Throttle      // nil without limits
	failover  *delivery.ReportFailover // nil: messages do not move after their reports
}

// use makes the tasks work with a new engine and its components, and with the endpoints of another publisher.
func (t *appTasks) use(engine *watchword.Engine, p appComponents, publisher *eventPublisher) {
	t.engine.Store(engine)
	t.sender.Store(&p.sender)
	t.router.Store(p.router)
	if t.failover != nil && t.failover != p.failover {
		t.failover.Adopt(p.failover)
	}
	if publisher != t.publisher {
		t.publisher.Adopt(publisher)
	}
}

// A currentEngine is a delivery.Engine that passes on to the app's current engine.
type currentEngine struct {
	atomic.Pointer[watchword.Engine]
}

// ComposeMessage implements delivery.Engine.
func (c *currentEngine) ComposeMessage(ctx context.Context, o watchword.Outgoing) (watchword.Message, error) {
	return c.Load().ComposeMessage(ctx, o)
}

// RecordDelivery implements delivery.Engine.
func (c *currentEngine) RecordDelivery(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error {
	return c.Load().RecordDelivery(ctx, o, d)
}

// ComposeEvents implements webhook.EventComposer.
func (c *currentEngine) ComposeEvents(ctx context.Context, o watchword.Outgoing) ([]watchword.Event, error) {
	return c.Load().ComposeEvents(ctx, o)
}

// FinishSend implements delivery.Engine.
func (c *currentEngine) FinishSend(ctx context.Context, o watchword.Outgoing, d watchword.Delivery) error {
	return c.Load().FinishSend(ctx, o, d)
}

// AllowRetry implements delivery.Engine.
func (c *currentEngine) AllowRetry(ctx context.Context, o watchword.Outgoing, at time.Time) error {
	return c.Load().AllowRetry(ctx, o, at)
}

// A currentSender is a sender that passes on to the app's current sender.
type currentSender struct {
	atomic.Pointer[watchword.Sender]
}

// Send implements watchword.Sender.
func (c *currentSender) Send(ctx context.Context, m watchword.Message) (watchword.Sent, error) {
	return (*c.Load()).Send(ctx, m)
}
