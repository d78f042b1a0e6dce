//go:build !linux

package pgtest

import (
	"os"
	"syscall"
)

// whyNotRunnable returns why this user cannot start PostgreSQL; empty if it can.
func whyNotRunnable() string {
	if os.Geteuid() == 0 {
		return "not as root"
	}
	return ""
}

func chownToServerUser(string) error { return nil }

func processAttributes() *syscall.SysProcAttr { return nil }

func runProcess(p *process, started chan<- error) {
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait()
	}
	close(p.exited)
}
