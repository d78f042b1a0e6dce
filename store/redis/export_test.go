package redis

import (
	"context"
	"time"
)

// PingNow is Ping without cached results.
func (s *Store) PingNow(ctx context.Context) error { return s.probe(ctx) }

// PingNow is Ping without cached results.
func (o *Outbox) PingNow(ctx context.Context) error { return o.probe(ctx) }

// RemoveConsumers removes the consumers that have claimed nothing for some time.
func (o *Outbox) RemoveConsumers(ctx context.Context, idle time.Duration) error {
	_, err := o.runClaim(ctx, o.keys[0], o.consumer, claimQuestion{limit: 1, consumerIdle: idle})
	return err
}

// ReserveEvent reserves a place for what happened among that which the waiting Claim takes.
func (o *Outbox) ReserveEvent() bool { return o.events.Reserve() }

// UnreserveEvent gives the place back.
func (o *Outbox) UnreserveEvent() { o.events.Unreserve() }

// SetMaxSize sets the greatest size of an endpoint's queue in bytes.
func (e *EventQueue) SetMaxSize(endpoint string, size int) { e.queueOf(endpoint).maxSize = size }
