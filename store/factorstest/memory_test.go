package factorstest_test

import (
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/factorstest"
	"github.com/watchword-auth/watchword/store/memory"
)

func TestMemoryStorePasses(t *testing.T) {
	factorstest.Run(t, func(*testing.T) watchword.Factors { return &memory.Factors{} })
}
