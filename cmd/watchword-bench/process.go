package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A process is one server under load.
type process struct {
	url    string
	cmd    *exec.Cmd
	cancel context.CancelFunc
}

// shutdownTimeout is how long a server may take to end after SIGTERM.
const shutdownTimeout = 20 * time.Second

// startProcess starts a mode's server and waits until it listens.
func startProcess(ctx context.Context, m mode, e environment) (*process, error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd, err := m.command(ctx, e)
	if err != nil {
		cancel()
		return nil, err
	}
	p := &process{cmd: cmd, cancel: cancel}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = shutdownTimeout
	output, err := startWithOutput(cmd)
	if err != nil {
		cancel()
		return nil, err
	}
	if err := p.awaitListening(output); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// startWithOutput starts a command and returns what it writes to stdout and stderr.
func startWithOutput(cmd *exec.Cmd) (io.ReadCloser, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = w.Close() }()
	cmd.Stdout, cmd.Stderr = w, w
	return r, cmd.Start()
}

var listeningLine = regexp.MustCompile(`\{.*"msg":"listening".*\}`)

// awaitListening reads the server's output until it says where it listens. The rest is discarded.
func (p *process) awaitListening(output io.ReadCloser) error {
	var before strings.Builder
	for lines := bufio.NewScanner(output); lines.Scan(); {
		var line struct{ Addr string }
		if m := listeningLine.Find(lines.Bytes()); m != nil && json.Unmarshal(m, &line) == nil {
			p.url = "http://" + line.Addr
			go discard(output)
			return nil
		}
		before.WriteString(lines.Text() + "\n")
	}
	return fmt.Errorf("the server did not start: %s", before.String())
}

// discard reads to the end, so that the writer never waits.
func discard(output io.ReadCloser) {
	_, _ = io.Copy(io.Discard, output)
	_ = output.Close()
}

// stop ends the process and waits for its end.
func (p *process) stop() {
	p.cancel()
	_ = p.cmd.Wait()
}

// cpuTime returns the user and system time that the process has used.
func (p *process) cpuTime() (time.Duration, error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.cmd.Process.Pid))
	if err != nil || len(threads) == 0 {
		return 0, fmt.Errorf("CPU time of a server is unknown: /proc has no schedstat (%w)", err)
	}
	var sum time.Duration
	for _, file := range threads {
		text, err := os.ReadFile(file)
		if os.IsNotExist(err) { // the thread has ended
			continue
		}
		used, errParse := parseSchedstat(string(text))
		if err != nil || errParse != nil {
			return 0, fmt.Errorf("CPU time of a server is unknown: %w", cmp.Or(err, errParse))
		}
		sum += used
	}
	return sum, nil
}

// parseSchedstat returns the first field of a thread's schedstat: its time on a CPU in nanoseconds (proc(5)).
func parseSchedstat(text string) (time.Duration, error) {
	first, _, _ := strings.Cut(text, " ")
	n, err := strconv.ParseInt(first, 10, 64)
	return time.Duration(n), err
}

// rss returns the memory of the process that is in RAM, in bytes.
func (p *process) rss() (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseRSS(string(text))
}

// parseRSS returns VmRSS of a /proc/PID/status, in bytes.
func parseRSS(status string) (int64, error) {
	for line := range strings.Lines(status) {
		if value, found := strings.CutPrefix(line, "VmRSS:"); found {
			kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
			return kib << 10, err
		}
	}
	return 0, fmt.Errorf("no VmRSS in %q", status)
}

// rssInterval is the time between two readings of a server's memory.
const rssInterval = 20 * time.Millisecond

// watchRSS reads the memory of the process until stop is called, which returns the largest value.
func (p *process) watchRSS() (stop func() int64) {
	end, peak := make(chan struct{}), make(chan int64)
	go func() {
		ticks := time.NewTicker(rssInterval)
		defer ticks.Stop()
		var most int64
		for {
			if now, err := p.rss(); err == nil {
				most = max(most, now)
			}
			select {
			case <-ticks.C:
			case <-end:
				peak <- most
				return
			}
		}
	}()
	return func() int64 {
		close(end)
		return <-peak
	}
}
