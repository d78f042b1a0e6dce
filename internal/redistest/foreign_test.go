package redistest

import (
	"strings"
	"testing"
)

// A server that somebody else started on the same port is not taken for one's own.
func TestStartIgnoresForeignServerOnThePort(t *testing.T) {
	foreign := Start(t)
	own := Start(t)
	if err := own.checkProcess(t.Context()); err != nil {
		t.Errorf("its own: %v", err)
	}
	own.Addr = foreign.Addr
	if err := own.checkProcess(t.Context()); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a foreign one: %v", err)
	}
}
