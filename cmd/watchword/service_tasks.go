package main

import (
	"context"
	"log/slog"
	"sync"
)

// serviceTasks run what works beside the requests. A reload adds the tasks of new apps.
type serviceTasks struct {
	workers, breakers, publishers *taskGroup
}

func newServiceTasks(log *slog.Logger) *serviceTasks {
	return &serviceTasks{
		workers:    newTaskGroup("messages not sent at shutdown", log),
		breakers:   newTaskGroup("messages not counted at shutdown", log),
		publishers: newTaskGroup("events not delivered at shutdown", log),
	}
}

// start starts the tasks of a service that were not started yet: after a reload, those of new apps.
func (t *serviceTasks) start(svc *service) {
	t.workers.start(svc.workers)
	t.breakers.start(svc.breakers)
	t.publishers.start(svc.eventPublishers)
}

// stop ends the tasks and waits. Workers end first, because the outcome of a message is an event, which breakers count and publishers
// send.
func (t *serviceTasks) stop() {
	t.workers.stop()
	t.breakers.stop()
	t.publishers.stop()
}

// A taskGroup runs tasks until it is stopped. An error of a task is logged with the failure as its message, and does not change the
// exit status.
type taskGroup struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	failure string
	log     *slog.Logger
}

func newTaskGroup(failure string, log *slog.Logger) *taskGroup {
	g := &taskGroup{failure: failure, log: log}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	return g
}

func (g *taskGroup) start(tasks []backgroundTask) {
	for _, task := range tasks {
		g.running.Go(func() {
			if err := task.Run(g.ctx); err != nil {
				g.log.Error(g.failure, "error", err)
			}
		})
	}
}

func (g *taskGroup) stop() {
	g.cancel()
	g.running.Wait()
}
