package delivery_test

import (
	"testing"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/counterstest"
)

func TestMemoryCountersPassConformanceSuite(t *testing.T) {
	counterstest.Run(t, delivery.NewMemoryCounters(nil))
}
