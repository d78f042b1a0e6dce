package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// assaultMain implements assault URL CHALLENGE SOCKETS: it attacks the server until its input ends, and then prints how often the
// server answered, as one JSON object. The challenge is one of the app hostile that nobody answers.
func assaultMain() {
	sockets, err := strconv.Atoi(os.Args[3])
	exitOn(err)
	a := &assault{node: &node{url: os.Args[1]}, open: os.Args[2]}
	ctx, stop := context.WithCancel(context.Background())
	a.begin(ctx, sockets)
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	a.running.Wait()
	exitOn(json.NewEncoder(os.Stdout).Encode(a.counts()))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// startAssault attacks a server from a process of its own. The returned function ends the attack and returns how often the server
// answered.
//
// Real attackers use other machines. These share the processors with the server, the neighbour and Redis. So that what they take for
// their own work is not taken from the others, they have a process of their own with the lowest priority: in the neighbour's process its
// people would wait for the attackers and not for the server. They are not weaker for it: each sends its next request as soon as it can,
// so they use all the time that the others leave.
func startAssault(t *testing.T, a *assault, sockets int) (stop func() map[string]int64) {
	t.Helper()
	cmd := exec.Command("nice", "-n", "19", "assault", a.node.url, a.open, strconv.Itoa(sockets))
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	stop = sync.OnceValue(func() (counts map[string]int64) {
		_ = input.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("attackers: %v", err)
		}
		if err := json.Unmarshal(output.Bytes(), &counts); err != nil {
			t.Errorf("attackers: %v: %s", err, output.Bytes())
		}
		return counts
	})
	t.Cleanup(func() { stop() })
	return stop
}

// minAttacks is how many attacks there are in six minutes, on two processors that nobody else uses, at the least. With fewer, what was
// measured is another load.
const minAttacks = 450_000

// requireAllAttacks checks that every kind of attack was begun and, with make soak, that the server met every kind, and as many as it
// should. In the short form, beside other tests, the machine may have no time to end some.
func requireAllAttacks(t *testing.T, counts map[string]int64, lasted time.Duration) {
	t.Helper()
	var all int64
	for kind, n := range counts {
		if !strings.HasSuffix(kind, begun) {
			all += n
		}
	}
	t.Logf("%d attacks, %.0f a second: %v", all, float64(all)/lasted.Seconds(), counts)
	soaking := os.Getenv(soak) != ""
	if soaking && all < minAttacks {
		t.Errorf("the machine had time for %d attacks only, fewer than %d", all, minAttacks)
	}
	for _, kind := range append(slices.Collect(maps.Keys(floods)), "slow header", "slow body", "slow page", "idle", "no reader", "endless") {
		met := func(name string) bool {
			return strings.HasPrefix(name, kind+" ") && (!soaking || !strings.HasSuffix(name, begun))
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(counts)), met) {
			t.Errorf("no attack of the kind %q", kind)
		}
	}
}

// measureBareHandler sends a request every 50 ms to a handler that does nothing, until ctx ends. What such a request takes is taken by
// the machine and by the client.
func measureBareHandler(ctx context.Context, t *testing.T, took func(time.Duration)) {
	bare := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(bare.Close)
	go func() {
		for ctx.Err() == nil {
			began := time.Now()
			if res, err := bare.Client().Get(bare.URL); err == nil {
				_ = res.Body.Close()
				took(time.Since(began))
			}
			pause(ctx, 50*time.Millisecond)
		}
	}()
}
