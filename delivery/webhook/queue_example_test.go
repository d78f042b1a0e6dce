package webhook_test

import (
	"context"
	"errors"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery/webhook"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// With store/redis, events wait on Redis. The dispatcher needs the engine, and the engine the dispatcher, so the queue gets the
// engine before the dispatcher runs.
func ExampleQueue() {
	run := func(ctx context.Context, cfg watchword.Config, outbox *redisstore.Outbox, endpoints []webhook.Endpoint) error {
		events, errEvents := redisstore.NewEventQueue(outbox.Store, redisstore.EventQueueConfig{App: cfg.App})
		sealer, errSealer := watchword.NewEventSealer(cfg.Identity, cfg.App)
		if err := errors.Join(errEvents, errSealer); err != nil {
			return err
		}
		queue := &webhook.Queue{Happened: outbox.Events(), Events: events, Switch: events, Sealer: sealer}
		dispatcher, err := webhook.NewDispatcher(webhook.DispatcherConfig{Endpoints: endpoints, Queue: queue})
		if err != nil {
			return err
		}
		cfg.Store, cfg.Events, cfg.Subscribed = outbox, dispatcher.HandleEvent, dispatcher.Subscribes
		engine, err := watchword.New(cfg)
		if err != nil {
			return err
		}
		queue.Engine = engine
		return dispatcher.Run(ctx)
	}
	_ = run // needs a Redis
}
