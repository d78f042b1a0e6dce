package redistest

import (
	"strings"
	"testing"
)

// Another process replies at the port.
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
