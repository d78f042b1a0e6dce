// Package redistest starts real Redis servers for tests and benchmarks: a single server, or a Cluster of three masters, on free
// loopback ports and without persistence. Tests call Start and StartCluster, which end the servers with the test and skip
// the test if redis-server is not installed; programs call Run and RunCluster. A Proxy or ClusterProxy between clients and
// servers can drop connections and delay or hold commands.
package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/internal/freeport"
)

// ErrMissing means that redis-server is not installed.
var ErrMissing = errors.New("redis-server is not installed (Debian, Ubuntu: apt-get install redis-server)")

// startTimeout is how long a server may take to start, and a replica to catch up, on a busy machine.
const startTimeout = 2 * time.Minute

// patience is the time-out of clients. It is long, so that a busy machine fails no test. A test of time-outs sets its own.
const patience = 2 * time.Minute

// logName is the name of the log file in a server's directory.
const logName = "redis.log"

// A Server is a redis-server process. It keeps its address when it is stopped and started again.
type Server struct {
	Addr string // host:port

	port    int
	dir     string
	args    func(port int) []string
	process *exec.Cmd
	exited  chan struct{} // closed when the process has ended
}

// Start runs a server until the test ends. args are passed to redis-server.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	s, err := Run(t.TempDir(), args...)
	skipOrFail(t, err)
	t.Cleanup(s.Stop)
	return s
}

// Run starts a server with a directory. The caller must call Stop.
func Run(dir string, args ...string) (*Server, error) {
	return run(dir, func(port int) []string { return append(serverArgs(port, dir), args...) })
}

// serverArgs returns the arguments of every server.
func serverArgs(port int, dir string) []string {
	return []string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no",
		"--loglevel", "warning", "--logfile", filepath.Join(dir, logName)}
}

// run starts redis-server with the arguments that args returns for a port.
func run(dir string, args func(port int) []string) (*Server, error) {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return nil, ErrMissing
	}
	var err error
	for range 5 { // another process may take the free port first
		s := &Server{dir: dir, args: args}
		if s.port, err = freeport.Find(); err != nil {
			return nil, err
		}
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
		if err = s.Start(); err == nil {
			return s, nil
		}
	}
	return nil, err
}

// Start starts a server that was stopped. Its data is lost.
func (s *Server) Start() error {
	s.process = exec.Command("redis-server", s.args(s.port)...)
	s.process.SysProcAttr = killWithParent()
	if err := s.process.Start(); err != nil {
		return err
	}
	s.exited = make(chan struct{})
	go func(p *exec.Cmd, exited chan struct{}) {
		_ = p.Wait()
		close(exited)
	}(s.process, s.exited)
	if err := s.awaitReady(); err != nil {
		s.Stop()
		return err
	}
	return nil
}

// Stop kills the process and waits for its end. It may be called again.
func (s *Server) Stop() {
	_ = s.process.Process.Kill() // there is nothing to save
	<-s.exited
}

// Pause suspends the process: the server hangs, and its connections stay open. Resume ends this.
func (s *Server) Pause() error { return s.process.Process.Signal(syscall.SIGSTOP) }

// Resume continues a paused server.
func (s *Server) Resume() error { return s.process.Process.Signal(syscall.SIGCONT) }

// URL returns the server's redis:// URL.
func (s *Server) URL() string { return "redis://" + s.Addr }

// Client returns a client that is closed when the test ends. It has go-redis' defaults, but long time-outs, dials only once and
// observes contexts.
func (s *Server) Client(t testing.TB) *redis.Client {
	t.Helper()
	c := redis.NewClient(s.options())
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func (s *Server) options() *redis.Options {
	return &redis.Options{Addr: s.Addr, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience}
}

// Do sends one command to this server, also in a Cluster, over a new connection.
func (s *Server) Do(ctx context.Context, args ...any) (any, error) {
	options := s.options()
	options.MaxRetries = -1
	options.DisableIdentity = true
	c := redis.NewClient(options)
	defer func() { _ = c.Close() }()
	return c.Do(ctx, args...).Result()
}

// awaitReady waits until the server replies.
func (s *Server) awaitReady() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	return poll(ctx, func() error {
		select {
		case <-s.exited:
			return fmt.Errorf("%w: redis-server ended at once; its log: %s", errNotStarted, s.log())
		default:
			return s.checkProcess(ctx)
		}
	})
}

// checkProcess returns nil if this process replies at the address. Another process may have taken the port; then this one ends,
// but possibly after the other has replied.
func (s *Server) checkProcess(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second) // another process may accept connections and answer nothing
	defer cancel()
	c, err := net.Dial("tcp", s.Addr) // first, because go-redis logs failed connections
	if err != nil {
		return err
	}
	_ = c.Close()
	info, err := s.Do(ctx, "info", "server")
	if redis.HasErrorPrefix(err, "NOAUTH") { // it has started and has a password; the process id is unknown
		return nil
	}
	if err != nil {
		return err
	}
	if text, _ := info.(string); !strings.Contains(text, fmt.Sprintf("\r\nprocess_id:%d\r\n", s.process.Process.Pid)) {
		return errors.New("another process answers at " + s.Addr)
	}
	return nil
}

func (s *Server) log() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, logName))
	return string(text)
}

var errNotStarted = errors.New("redistest: not coming up")

// poll calls f until it succeeds, returns errNotStarted or the context ends.
func poll(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil || errors.Is(err, errNotStarted) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", errNotStarted, err)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func skipOrFail(t testing.TB, err error) {
	t.Helper()
	if errors.Is(err, ErrMissing) {
		t.Skip("skipped: ", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// AwaitReplica waits until a replica has received a write of this server. A replica may be online a second before.
func (s *Server) AwaitReplica(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	c := redis.NewClient(s.options())
	defer func() { _ = c.Close() }()
	conn := c.Conn()
	defer func() { _ = conn.Close() }()
	return poll(ctx, func() error {
		if err := conn.Set(ctx, "awaited", 1, 0).Err(); err != nil {
			return err
		}
		n, err := conn.Wait(ctx, 1, 100*time.Millisecond).Result()
		if err == nil && n < 1 {
			err = errors.New("no replica has the write")
		}
		return err
	})
}

// AwaitNoReplica waits until this server reports no connected replicas.
func (s *Server) AwaitNoReplica(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	return poll(ctx, func() error {
		info, err := s.Do(ctx, "info", "replication")
		if text, _ := info.(string); err == nil && !strings.Contains(text, "connected_slaves:0\r\n") {
			err = errors.New("a replica is still connected")
		}
		return err
	})
}

// HostPort returns the server's address in two parts.
func (s *Server) HostPort() (host, port string) { return "127.0.0.1", strconv.Itoa(s.port) }
