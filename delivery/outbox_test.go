package delivery_test

import (
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/outboxtest"
)

func TestQueueFulfillsTheRequirementsOfAnOutbox(t *testing.T) {
	outboxtest.Run(t, func(*testing.T) outboxtest.Backend {
		return outboxtest.Backend{Processes: []watchword.Outbox{delivery.NewQueue(1000, nil)}}
	})
}
