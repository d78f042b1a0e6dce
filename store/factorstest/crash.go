package factorstest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

const (
	crashTarget = "WATCHWORD_CRASH_TARGET" // tells a process that it is the one to be killed, and which store to use

	// Soak asks for the long form of Crash.
	Soak = "WATCHWORD_SOAK"

	shortKills, longKills = 4, 100
	workers               = 8
	crashApp              = "crash"

	// Exit codes of a child that was not killed: it gave up, or panicked.
	exitFailed, exitPanicked = 3, 2
)

// RunCrashChild makes this process the one that is killed, if Crash started it; otherwise it returns at once. Call it first
// in TestMain.
func RunCrashChild(open func(ctx context.Context, target string) (watchword.Factors, error)) {
	target := os.Getenv(crashTarget)
	if target == "" {
		return
	}
	f, err := open(context.Background(), target)
	if err == nil {
		err = loadFactors(f)
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(exitFailed)
}

// loadFactors enrols and spends on many goroutines until something fails. What was answered with success it says on
// standard output, a line each: the factor, and how often it has been spent.
func loadFactors(f watchword.Factors) error {
	failed := make(chan error)
	for worker := range workers {
		go func() {
			for n := 0; ; n++ {
				id := fmt.Sprintf("%d-%d-%d", os.Getpid(), worker, n)
				if err := enrolAndSpend(f, id); err != nil {
					failed <- fmt.Errorf("%s: %w", id, err)
					return
				}
			}
		}()
	}
	return <-failed
}

func enrolAndSpend(f watchword.Factors, id string) error {
	ctx := context.Background()
	s := watchword.SealedFactor{ID: id, App: crashApp, Subject: id, Strategy: "totp", CreatedAt: baseTime, Data: make([]byte, 300)}
	if err := f.Create(ctx, s); err != nil {
		return err
	}
	for spent := 0; spent < 20; spent++ {
		if _, err := os.Stdout.WriteString(fmt.Sprintf("%s %d\n", id, spent)); err != nil {
			return err
		}
		read, err := f.Get(ctx, crashApp, id)
		if err != nil {
			return err
		}
		binary.BigEndian.PutUint64(read.Data, uint64(spent+1))
		if err := f.Update(ctx, read); err != nil {
			return err
		}
	}
	return nil
}

// RunCrash kills processes that enrol and spend as fast as they can (SIGKILL) at random moments, four times or, with
// WATCHWORD_SOAK=1, a hundred times, and checks each time that everything that was ever answered with success is there.
// Open is given what names the store, as the child's is; instead, where it is not nil, may end something else than the
// child, the server say, and reports whether it did.
func RunCrash(t *testing.T, target string, open func(t *testing.T) watchword.Factors, instead func() bool) {
	kills := shortKills
	if os.Getenv(Soak) != "" {
		kills = longKills
	}
	answered := map[string]int{}
	for range kills {
		child := startChild(t, target)
		time.Sleep(200*time.Millisecond + rand.N(300*time.Millisecond))
		other := instead != nil && instead()
		for id, spent := range child.end(t, other) {
			answered[id] = spent
		}
		checkAnswered(t, open(t), answered)
	}
	total := len(answered)
	for _, spent := range answered {
		total += spent
	}
	if total < 10*kills {
		t.Errorf("only %d answers in %d rounds: nothing was tested", total, kills)
	}
	t.Logf("%d kills, %d answers, %d factors", kills, total, len(answered))
}

// checkAnswered looks at every factor: what was answered has been stored, at most one thing more was on its way, and
// what is spent cannot be spent again.
func checkAnswered(t *testing.T, f watchword.Factors, answered map[string]int) {
	t.Helper()
	for id, spent := range answered {
		s, err := f.Get(t.Context(), crashApp, id)
		if err != nil {
			t.Fatalf("%s was enrolled and is gone: %v", id, err)
		}
		kept := int(binary.BigEndian.Uint64(s.Data))
		if kept < spent || kept > spent+1 || s.Version != int64(kept)+1 {
			t.Fatalf("%s was spent %d times; kept: %d, version %d", id, spent, kept, s.Version)
		}
		s.Version = int64(spent)
		wantError(t, id+" spent again", f.Update(t.Context(), s), watchword.ErrConflict)
	}
}

// A child is a process that loads a store.
type child struct {
	cmd        *exec.Cmd
	outputRead sync.WaitGroup
	spent      map[string]int // of each factor, how often it was spent at the last word
	failure    bytes.Buffer
}

func startChild(t *testing.T, target string) *child {
	t.Helper()
	c := &child{cmd: exec.Command(os.Args[0]), spent: map[string]int{}}
	c.cmd.Env = append(os.Environ(), crashTarget+"="+target)
	c.cmd.Stderr = &c.failure
	out, err := c.cmd.StdoutPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan struct{})
	c.outputRead.Go(func() { c.read(out, sync.OnceFunc(func() { close(first) })) })
	<-first
	return c
}

// read takes down what the child says. A last line that was cut off is no answer.
func (c *child) read(out io.Reader, first func()) {
	defer first()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		first()
		var id string
		var spent int
		if _, err := fmt.Sscan(strings.TrimSpace(line), &id, &spent); err == nil {
			c.spent[id] = spent
		}
	}
}

// end waits for the child, which was killed unless it loses what it works on, and returns its last words.
func (c *child) end(t *testing.T, loses bool) map[string]int {
	t.Helper()
	if !loses {
		_ = c.cmd.Process.Kill()
	}
	c.outputRead.Wait()
	_ = c.cmd.Wait()
	if code := c.cmd.ProcessState.ExitCode(); !loses && (code == exitFailed || code == exitPanicked) {
		t.Errorf("the child ended before it was killed: %s", c.failure.String())
	}
	return c.spent
}
