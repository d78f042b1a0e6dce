//go:build !linux

package pgtest

import (
	"os"
	"syscall"
)

// cannotRun says why PostgreSQL cannot be started by this user; empty if it can.
func cannotRun() string {
	if os.Geteuid() == 0 {
		return "not as root"
	}
	return ""
}

func own(string) error { return nil }

func attributes() *syscall.SysProcAttr { return nil }

func waitFor(p *process, started chan<- error) {
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait()
	}
	close(p.over)
}
