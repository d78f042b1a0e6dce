package pgtest

import (
	"errors"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// whyNotRunnable returns why this user cannot start PostgreSQL; empty if it can.
func whyNotRunnable() string {
	if os.Geteuid() != 0 {
		return ""
	}
	if _, _, err := serverUser(); err != nil {
		return err.Error()
	}
	return ""
}

// serverUser returns the user that the server runs as if the test runs as root, because PostgreSQL refuses to.
func serverUser() (uid, gid int, err error) {
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

// chownToServerUser changes the owner of a directory to the user that the server runs as.
func chownToServerUser(folder string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := serverUser()
	if err != nil {
		return err
	}
	return os.Chown(folder, uid, gid)
}

// processAttributes returns the attributes of the server process: it runs as serverUser and is killed when the test ends.
func processAttributes() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		if uid, gid, err := serverUser(); err == nil {
			a.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		}
	}
	return a
}

// runProcess keeps its thread while the process runs. Afterwards it unlocks the thread, which would end otherwise, and with it all
// servers that other tests have started on it before.
func runProcess(p *process, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err == nil {
		_ = p.cmd.Wait()
	}
	close(p.exited)
}
