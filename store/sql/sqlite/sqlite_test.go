package sqlite

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/factorstest"
	"github.com/watchword-auth/watchword/store/sql"
)

// openFile opens a file until the test ends.
func openFile(t testing.TB, path string) *sql.Factors {
	t.Helper()
	f, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestFactors(t *testing.T) {
	factorstest.Run(t, func(t *testing.T) watchword.Factors {
		return openFile(t, filepath.Join(t.TempDir(), "watchword.db"))
	})
}

func TestMain(m *testing.M) {
	factorstest.RunCrashChild(func(ctx context.Context, path string) (watchword.Factors, error) { return Open(ctx, path) })
	os.Exit(m.Run())
}

func TestCommittedFactorsSurviveCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchword.db")
	factorstest.RunCrash(t, path, func(t *testing.T) watchword.Factors { return openFile(t, path) }, nil)
}

// The durability of the store depends on these pragmas.
func TestOpenSetsPragmas(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchword.db")
	openFile(t, path)
	write, err := openPool(path, 1, writerPragmas()...)
	if err != nil {
		t.Fatal(err)
	}
	defer write.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "busy_timeout": "5000"} {
		var got string
		if err := write.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q (%v), want %q", pragma, got, err, want)
		}
	}
	read, err := openPool(path, 1, readerPragmas()...)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if _, err := read.Exec("DELETE FROM watchword_factors"); err == nil {
		t.Error("a reader can write")
	}
}

func TestOpenCreatesFileReadableByOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchword.db")
	openFile(t, path)
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files: %v, %v", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", filepath.Base(file), info.Mode(), err)
		}
	}
}

// Several nodes, in one process or in several, open a new file at the same time.
func TestConcurrentOpensMigrateOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd ?#%&+; name 日本.db")
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			f, err := Open(t.Context(), path)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer f.Close()
			err = f.Create(t.Context(), watchword.SealedFactor{App: "shop", ID: string(rune('a' + n)), Subject: "user_42", Strategy: "totp", Data: []byte("x")})
			if err != nil {
				t.Errorf("create: %v", err)
			}
		})
	}
	all.Wait()
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
	got, err := openFile(t, path).List(t.Context(), "shop", "user_42")
	if err != nil || len(got) != 8 {
		t.Errorf("%d factors: %v", len(got), err)
	}
}

// A node that opens a new file does nothing to it while another one has the lock: SQLite would refuse one of two that change it to WAL.
func TestOpenWaitsForLockBeforeItsFirstConnection(t *testing.T) {
	path := filepath.Join(t.TempDir(), "watchword.db")
	lock, err := takeLock(t.Context(), path+"-lock")
	if err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		f, err := Open(t.Context(), path)
		if err == nil {
			err = f.Close()
		}
		opened <- err
	}()
	written := func() bool { info, err := os.Stat(path); return err == nil && info.Size() > 0 }
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end) && !written(); time.Sleep(10 * time.Millisecond) {
	}
	if written() {
		t.Error("the file was written while another node had the lock")
	}
	if err := lock.release(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-opened; err != nil || !written() {
		t.Errorf("open: %v", err)
	}
}

func TestCheckPathRefusesUnusablePaths(t *testing.T) {
	for _, path := range []string{"", ":memory:", t.TempDir(), filepath.Join(t.TempDir(), "no", "such", "folder.db")} {
		if f, err := Open(t.Context(), path); err == nil {
			t.Errorf("%q was opened", path)
			_ = f.Close()
		}
	}
	path := filepath.Join(t.TempDir(), "text.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("this is no database. ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if f, err := Open(t.Context(), path); err == nil {
		t.Error("a text file was opened")
		_ = f.Close()
	}
}

func TestPing(t *testing.T) {
	f, err := Open(t.Context(), filepath.Join(t.TempDir(), "watchword.db"))
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Ping(t.Context()); err != nil {
		t.Errorf("open: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := await(func() error { return f.Ping(t.Context()) }, func(err error) bool { return err != nil }); err == nil {
		t.Error("closed, and can be reached")
	}
}

// await repeats a call, whose result is cached for a second, until it returns the expected result.
func await(call func() error, done func(error) bool) (err error) {
	for until := time.Now().Add(2 * time.Minute); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if err = call(); done(err) {
			break
		}
	}
	return err
}
