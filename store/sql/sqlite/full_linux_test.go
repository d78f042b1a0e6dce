package sqlite

import (
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Ping reports a file that cannot grow, as on a full disk, and its recovery. The test limits the size of all files of the
// process, so it must not run in parallel with others.
func TestPingFailsWhenTheDiskIsFull(t *testing.T) {
	f := openFile(t, filepath.Join(t.TempDir(), "watchword.db"))
	if err := f.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var free syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &free); err != nil {
		t.Fatal(err)
	}
	limit := func(bytes uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: bytes, Max: free.Max}); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	err := await(func() error { return f.Ping(t.Context()) }, func(err error) bool { return err != nil })
	_, readable := f.List(t.Context(), "", "")
	limit(free.Cur)
	if err == nil || !strings.Contains(err.Error(), "database file cannot be written or read (SQLite") {
		t.Errorf("Ping = %v", err)
	}
	if readable != nil {
		t.Errorf("the file cannot be read: %v", readable)
	}
	if err := await(func() error { return f.Ping(t.Context()) }, func(err error) bool { return err == nil }); err != nil {
		t.Errorf("Ping = %v, though it can be written again", err)
	}
}
