package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// A process is one server under load.
type process struct {
	name    string
	command func(ctx context.Context) (*exec.Cmd, error)
	cmd     *exec.Cmd
	url     string
}

// readyLine is the line that a server prints when it listens.
func readyLine(addr string) string { return fmt.Sprintf(`{"msg":"listening","addr":%q}`, addr) }

func baselineCommand(kind, redisURL, sink string) func(context.Context) (*exec.Cmd, error) {
	return func(ctx context.Context) (*exec.Cmd, error) {
		self, err := os.Executable()
		return exec.CommandContext(ctx, self, "-baseline", kind, "-redis", redisURL, "-sink", sink), err
	}
}

func watchwordCommand(path, redisURL, sink string) func(context.Context) (*exec.Cmd, error) {
	return func(ctx context.Context) (*exec.Cmd, error) {
		if path == "" {
			return nil, errors.New("-watchword is missing: the path of the binary")
		}
		dir, err := os.MkdirTemp("", "watchword-bench")
		if err != nil {
			return nil, err
		}
		to, err := url.Parse(sink)
		if err != nil {
			return nil, err
		}
		to.Scheme, to.RawQuery = "webhook+http", "secret=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		return exec.CommandContext(ctx, path, "serve", "--dev", "--dev-no-limits", "--listen", "127.0.0.1:0", "--redis", redisURL,
			"--data-dir", dir, "--send", "sms="+to.String()), nil
	}
}

var listeningLine = regexp.MustCompile(`\{.*"msg":"listening".*\}`)

// start starts the server and waits for its readyLine.
func (p *process) start(ctx context.Context) error {
	var err error
	if p.cmd, err = p.command(ctx); err != nil {
		return err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	p.cmd.Stdout, p.cmd.Stderr = w, w
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	if err := p.cmd.Start(); err != nil {
		return err
	}
	_ = w.Close()
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		var line struct{ Addr string }
		if m := listeningLine.Find(lines.Bytes()); m != nil && json.Unmarshal(m, &line) == nil {
			p.url = "http://" + line.Addr
			go func() { _, _ = io.Copy(io.Discard, r) }()
			return nil
		}
		fmt.Fprintln(os.Stderr, p.name+":", lines.Text())
	}
	return fmt.Errorf("%s did not start", p.name)
}

func (p *process) stop() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		_ = p.cmd.Wait()
	}
}

// cpuTime returns the process's CPU time so far: fields 14 and 15 of /proc/PID/stat, in hundredths of a second.
func (p *process) cpuTime() time.Duration {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// A redisServer is the benchmark's Redis.
type redisServer struct {
	url    string
	cmd    *exec.Cmd
	client *redis.Client
}

func startRedis(ctx context.Context) (*redisServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	_ = l.Close()
	s := &redisServer{url: "redis://" + addr, client: redis.NewClient(&redis.Options{Addr: addr})}
	s.cmd = exec.CommandContext(ctx, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("redis-server is needed (make tools installs it): %w", err)
	}
	for range 100 {
		if s.client.Ping(ctx).Err() == nil {
			return s, nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	s.stop()
	return nil, errors.New("redis-server does not answer")
}

func (s *redisServer) stop() {
	_ = s.client.Close()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	_ = s.cmd.Wait()
}

// countCommands counts the commands of clients while f runs, with MONITOR. Commands that scripts call do not count.
func (s *redisServer) countCommands(ctx context.Context, f func() error) (n int, err error) {
	conn, err := net.Dial("tcp", s.client.Options().Addr)
	if err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(conn)
	if _, err := io.WriteString(conn, "MONITOR\r\n"); err != nil || !lines.Scan() {
		return 0, errors.Join(err, lines.Err())
	}
	const last = "end-of-count"
	counted := make(chan int)
	go func() {
		n := 0
		for lines.Scan() && !strings.Contains(lines.Text(), last) {
			if !strings.Contains(lines.Text(), " lua] ") {
				n++
			}
		}
		counted <- n
	}()
	err = f()
	s.client.Echo(ctx, last)
	n = <-counted
	return n, errors.Join(err, conn.Close())
}
