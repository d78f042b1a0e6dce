// Package pgtest provides a real PostgreSQL for tests: it starts one from the installed programs, or uses the server that the
// environment variable WATCHWORD_TEST_POSTGRES names. If there is neither, the test is skipped.
//
// The test must import the database/sql driver "pgx".
package pgtest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Environment is the environment variable with the URL of a server to use, whose user may create databases.
const Environment = "WATCHWORD_TEST_POSTGRES"

// startTimeout is how long a server may take to start or to stop.
const startTimeout = 2 * time.Minute

// A Server is a running PostgreSQL.
type Server struct {
	url       *url.URL // of the database postgres
	bin       string   // directory of its programs; empty for a server that pgtest has not started
	folder    string
	process   *process
	databases atomic.Int64 // databases
}

// Start returns a server that ends with the test. Its commits are durable (fsync is on). It listens only on a socket in its own
// directory.
func Start(t testing.TB) *Server {
	t.Helper()
	if text := os.Getenv(Environment); text != "" {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatalf("%s is no URL", Environment)
		}
		return &Server{url: u}
	}
	bin := findPrograms()
	if bin == "" {
		t.Skipf("no PostgreSQL: install it (apt-get install postgresql) or set %s", Environment)
	}
	if unable := whyNotRunnable(); unable != "" {
		t.Skipf("PostgreSQL cannot be started: %s; set %s", unable, Environment)
	}
	folder, err := os.MkdirTemp("", "wwpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(folder) })
	s := &Server{bin: bin, folder: folder}
	s.url = &url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/postgres",
		RawQuery: url.Values{"host": {folder}}.Encode()}
	if err := chownToServerUser(folder); err != nil {
		t.Fatal(err)
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = processAttributes(), folder
	if out, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, out)
	}
	if err := s.startServer(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Crash)
	return s
}

func (s *Server) data() string { return filepath.Join(s.folder, "data") }

// CanCrash reports whether pgtest has started the server, so that the test may call Crash.
func (s *Server) CanCrash() bool { return s.bin != "" }

// Crash kills the server and its child processes (SIGKILL).
func (s *Server) Crash() {
	if s.process != nil {
		s.process.kill()
		s.process = nil
	}
}

// Pause suspends the server: it hangs, and its connections stay open. Resume ends this.
func (s *Server) Pause(t testing.TB) { s.signal(t, syscall.SIGSTOP) }

// Resume continues a paused server.
func (s *Server) Resume(t testing.TB) { s.signal(t, syscall.SIGCONT) }

func (s *Server) signal(t testing.TB, sig os.Signal) {
	t.Helper()
	if err := s.process.signal(sig); err != nil {
		t.Fatal(err)
	}
}

// Restart starts a server after Crash. It recovers all committed transactions.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	if err := s.startServer(); err != nil {
		t.Fatal(err)
	}
}

// startServer starts the server and waits until it replies. It tries again, because processes of a crashed server may still hold
// its files.
func (s *Server) startServer() error {
	var output bytes.Buffer
	for deadline := time.Now().Add(startTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if s.process == nil {
			output.Reset()
			cmd := exec.Command(filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.folder, "-c", "listen_addresses=", "-c", "max_connections=200")
			cmd.SysProcAttr, cmd.Dir, cmd.Stderr = processAttributes(), s.folder, &output
			p, err := startProcess(cmd)
			if err != nil {
				return err
			}
			s.process = p
		}
		if s.process.hasExited() {
			s.process = nil
			continue
		}
		if _, err := s.exec(s.url, "SELECT 1"); err == nil {
			return nil
		}
	}
	s.Crash()
	return fmt.Errorf("postgres did not start: %s", output.String())
}

// Database creates an empty database, which is dropped after the test, and returns its URL.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("ww_%d_%d", os.Getpid(), s.databases.Add(1))
	if _, err := s.exec(s.url, "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.bin == "" {
			_, _ = s.exec(s.url, "DROP DATABASE "+name+" WITH (FORCE)")
		}
	})
	u := *s.url
	u.Path = "/" + name
	return u.String()
}

func (s *Server) exec(u *url.URL, statement string) (sql.Result, error) {
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		return nil, err
	}
	result, err := db.Exec(statement)
	return result, errors.Join(err, db.Close())
}

// findPrograms returns the directory of postgres and initdb. Debian has one for each version, outside of the PATH.
func findPrograms() string {
	folders, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	slices.SortFunc(folders, func(a, b string) int { return majorVersion(b) - majorVersion(a) })
	if found, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(found); err == nil {
			folders = append([]string{filepath.Dir(real)}, folders...)
		}
	}
	for _, folder := range folders {
		_, err := os.Stat(filepath.Join(folder, "initdb"))
		_, err2 := os.Stat(filepath.Join(folder, "postgres"))
		if err == nil && err2 == nil {
			return folder
		}
	}
	return ""
}

func majorVersion(folder string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(folder)))
	return n
}

// A process is a running server.
type process struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// startProcess starts a command and waits for it on its own thread, because Linux kills a child (Pdeathsig) when the thread that
// started it ends.
func startProcess(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, exited: make(chan struct{})}
	started := make(chan error)
	go runProcess(p, started)
	return p, <-started
}

func (p *process) hasExited() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// kill kills the server and its children.
func (p *process) kill() {
	children := p.children()
	_ = p.cmd.Process.Kill()
	for _, child := range children {
		_ = child.Kill()
	}
	<-p.exited
}

// signal sends a signal to the server and then to its children that have not ended meanwhile.
func (p *process) signal(s os.Signal) error {
	err := p.cmd.Process.Signal(s)
	for _, child := range p.children() {
		if failed := child.Signal(s); !errors.Is(failed, os.ErrProcessDone) {
			err = errors.Join(err, failed)
		}
	}
	return err
}

// children returns the server's child processes, which /proc lists while the server lives.
func (p *process) children() (children []*os.Process) {
	pid := strconv.Itoa(p.cmd.Process.Pid)
	listed, _ := os.ReadFile(filepath.Join("/proc", pid, "task", pid, "children"))
	for _, child := range strings.Fields(string(listed)) {
		n, _ := strconv.Atoi(child)
		if c, err := os.FindProcess(n); err == nil {
			children = append(children, c)
		}
	}
	return children
}
