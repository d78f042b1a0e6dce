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
	crashTarget = "WATCHWORD_CRASH_TARGET" // environment variable of the process to be killed: the store to use

	// Soak is the environment variable that selects the long form of RunCrash.
	Soak = "WATCHWORD_SOAK"

	shortKills, longKills = 4, 100
	workers               = 8
	minCalls              = 10 // of each process before it is killed
	crashApp              = "crash"

	// Exit codes of a child that was not killed: it failed, or panicked.
	exitFailed, exitPanicked = 3, 2
)

// RunCrashChild loads a store until the process is killed, if RunCrash has started this process. Otherwise it returns at once.
// Call it first in TestMain.
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

// loadFactors enrols and spends factors on several goroutines until a call fails. After each successful call it writes a line
// to standard output: the factor's id and how often it has been spent.
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

// RunCrash tests that the store loses no change whose call has succeeded. It starts a process that enrols and spends factors,
// kills it at a random time (SIGKILL), and compares the store with the output of the process. It does so four times, or a
// hundred times with WATCHWORD_SOAK=1. target names the store for RunCrashChild; open opens the same store. If instead is not
// nil, it may kill something else, such as the server, and reports whether it did.
func RunCrash(t *testing.T, target string, open func(t *testing.T) watchword.Factors, instead func() bool) {
	kills := shortKills
	if os.Getenv(Soak) != "" {
		kills = longKills
	}
	confirmed := map[string]int{}
	for range kills {
		child := startChild(t, target)
		time.Sleep(200*time.Millisecond + rand.N(300*time.Millisecond))
		other := instead != nil && instead()
		for id, spent := range child.end(t, other) {
			confirmed[id] = spent
		}
		checkConfirmed(t, open(t), confirmed)
	}
	total := len(confirmed)
	for _, spent := range confirmed {
		total += spent
	}
	if total < minCalls*kills {
		t.Errorf("only %d calls in %d rounds: nothing was tested", total, kills)
	}
	t.Logf("%d kills, %d calls, %d factors", kills, total, len(confirmed))
}

// checkConfirmed checks every factor: confirmed changes are stored, at most one more change is, and a spent version cannot be
// spent again.
func checkConfirmed(t *testing.T, f watchword.Factors, confirmed map[string]int) {
	t.Helper()
	for id, spent := range confirmed {
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
	cmd     *exec.Cmd
	reader  sync.WaitGroup
	spent   map[string]int // by factor: how often it was spent, by the last line
	failure bytes.Buffer
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
	busy := make(chan struct{})
	c.reader.Go(func() { c.read(out, sync.OnceFunc(func() { close(busy) })) })
	<-busy
	return c
}

// read records the child's output and calls busy after minCalls lines, or at the end. An incomplete last line is ignored.
func (c *child) read(out io.Reader, busy func()) {
	defer busy()
	lines := bufio.NewReader(out)
	for n := 1; ; n++ {
		line, err := lines.ReadString('\n')
		if err != nil {
			return
		}
		if n == minCalls {
			busy()
		}
		var id string
		var spent int
		if _, err := fmt.Sscan(strings.TrimSpace(line), &id, &spent); err == nil {
			c.spent[id] = spent
		}
	}
}

// end kills the child, unless storeKilled: then the child ends by itself. It waits for the end and returns the confirmed changes.
func (c *child) end(t *testing.T, storeKilled bool) map[string]int {
	t.Helper()
	if !storeKilled {
		_ = c.cmd.Process.Kill()
	}
	c.reader.Wait()
	_ = c.cmd.Wait()
	if code := c.cmd.ProcessState.ExitCode(); !storeKilled && (code == exitFailed || code == exitPanicked) {
		t.Errorf("the child ended before it was killed: %s", c.failure.String())
	}
	return c.spent
}
