package pgtest

import (
	"errors"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// cannotRun says why PostgreSQL cannot be started by this user; empty if it can.
func cannotRun() string {
	if os.Geteuid() != 0 {
		return ""
	}
	if _, _, err := servant(); err != nil {
		return err.Error()
	}
	return ""
}

// servant is the user that the server runs as when the test is root, as which it does not run.
func servant() (uid, gid int, err error) {
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		return uid, gid, errors.Join(err1, err2)
	}
	return 0, 0, errors.New("not as root, and there is no user postgres or nobody")
}

// own gives a folder to the user that the server runs as.
func own(folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := servant()
	if err != nil {
		return err
	}
	return os.Chown(folder, uid, gid)
}

// attributes make a process that user's, and end it if the test is killed.
func attributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		if uid, gid, err := servant(); err == nil {
			a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return a
}

func waitFor(p *process, started chan<- error) {
	runtime.LockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait()
	}
	close(p.over)
}
