package memory_test

import (
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(testing.TB) watchword.Store { return memory.New(memory.Config{}) })
}

func TestStoreWithSetClock(t *testing.T) {
	storetest.RunBackend(t, func(testing.TB) storetest.Backend {
		clock := storetest.NewClock()
		return storetest.Backend{Nodes: []watchword.Store{memory.New(memory.Config{Clock: clock.Now})}, Clock: clock}
	})
}
