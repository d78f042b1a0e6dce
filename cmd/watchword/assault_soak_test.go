package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// The bounds of a server under attack. Memory is compared without the race detector.
const (
	maxResident      = 256 << 20 // bytes
	maxLinesPerSec   = 100
	maxNewSeries     = 50
	maxLeft          = 60 // goroutines and descriptors above those before the attack
	minServed        = 99 // percent of the neighbour's people who sign in
	maxNeighbourWait = 50 * time.Millisecond
)

// Hostile clients and an app whose sender and event endpoints are dead do their worst. Meanwhile the people of a polite neighbour sign
// in. What a server takes and writes is bounded, and returns to what it was. With make soak this takes six minutes.
func TestNeighbourIsServedWhileServerIsAttacked(t *testing.T) {
	sink := startDeadSink(t)
	codes := startCodeReceiver(t, httptest.NewTLSServer)
	metrics := freeport.Address(t)
	n := startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, codes.Server)}, "--log-level", "info", "--metrics-listen", metrics,
		"--config", writeAssaultConfig(t, codes, sink))
	n.key = "neighbour"
	neighbour := quietApp{node: n, codes: codes}
	a := &assault{node: n}
	warmUp(t, neighbour, a)
	var slow, bare latencies
	neighbour.took = slow.add
	before := readGauges(t, metrics)
	lines := strings.Count(n.log.String(), "\n")

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	began := time.Now()
	stopAssault := startAssault(t, a, rounds(15, 150))
	watched := watchResident(ctx, t, metrics)
	measureBareHandler(ctx, t, bare.add)
	served, failed := serveNeighbour(t, neighbour, time.Duration(rounds(12, 360))*time.Second)
	stop()
	requireAllAttacks(t, stopAssault(), time.Since(began))
	rate := float64(strings.Count(n.log.String(), "\n")-lines) / time.Since(began).Seconds()
	t.Logf("neighbour: %d served, %d failed, p99 of a request %s, of one to a handler that does nothing %s; %.1f log lines a second",
		served, failed, slow.percentile(99), bare.percentile(99), rate)
	if served == 0 || 100*failed > (100-minServed)*(served+failed) {
		t.Errorf("%d of the neighbour's people failed, %d signed in", failed, served)
	}
	if rate > maxLinesPerSec {
		t.Errorf("%.1f log lines a second", rate)
	}
	if p99 := slow.percentile(99); os.Getenv(soak) != "" && p99 > maxNeighbourWait {
		t.Errorf("p99 of the neighbour's requests is %s", p99)
	}
	requireFlatMemory(t, <-watched)
	sink.revive()
	requireBaseline(t, before, metrics)
	n.stop()
	for _, record := range logRecords(t, n.log.String()) {
		if record["level"] == "ERROR" && record["msg"] == "handler panicked" {
			t.Errorf("a panic: %v", record)
		}
	}
}

// A deadSink accepts connections and never answers, until it is revived.
type deadSink struct {
	*httptest.Server
	alive chan struct{}
}

func startDeadSink(t *testing.T) *deadSink {
	s := &deadSink{alive: make(chan struct{})}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Connection", "close")
		select {
		case <-s.alive:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// revive makes the sink accept everything.
func (s *deadSink) revive() { close(s.alive) }

func writeAssaultConfig(t *testing.T, codes *codeReceiver, sink *deadSink) string {
	t.Helper()
	app := func(id, sender, events string) string {
		return "  - id: " + id + "\n    keys: [{sha256: " + apiKeyDigest(id) + ", scopes: [challenges]}]\n    send: {email: [\"" + sender + "\"]}\n" +
			"    limits: [{name: address, limit: 5, window: 10m, by: address}]\n" + events
	}
	dead := sink.URL + "/?secret=" + eventsSecret
	return writeProductionConfig(t, redistest.Start(t).URL()+"?pool_size=20", "max_connections: 1000\napps:\n"+app("neighbour", codes.senderURL(), "")+
		app("hostile", "webhook+"+dead, "    events: [{url: \""+dead+"\"}, {url: \"https://127.0.0.1:9/?secret="+eventsSecret+"\"}]\n"))
}

// warmUp opens the connections and makes the series that a busy server has.
func warmUp(t *testing.T, neighbour quietApp, a *assault) {
	t.Helper()
	var people sync.WaitGroup
	for person := range 30 {
		people.Go(func() {
			if err := neighbour.signIn(1<<20 + person); err != nil {
				t.Error(err)
			}
		})
	}
	people.Wait()
	r := a.node.mustSend(apiRequest{method: http.MethodPost, path: "/v1/challenges", key: "hostile",
		body: object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "victim@example.com"}})
	a.open = r.str("id")
	for n := range 8 {
		for _, request := range []func(int) *http.Request{a.unknownID, a.unknownKey, a.unknownPath} {
			a.send(t.Context(), "warm-up", request(n))
		}
	}
}

// serveNeighbour signs people in, four at a time at most and at the pace of signInInterval.
func serveNeighbour(t *testing.T, a quietApp, lasting time.Duration) (served, failed int64) {
	var persons, good, bad atomic.Int64
	var people sync.WaitGroup
	next := time.NewTicker(signInInterval)
	defer next.Stop()
	began := time.Now()
	for range 4 {
		people.Go(func() {
			for time.Since(began) < lasting {
				<-next.C
				if err := a.signIn(int(persons.Add(1))); err == nil {
					good.Add(1)
				} else if bad.Add(1) <= 5 {
					t.Logf("neighbour: %v", err)
				}
			}
		})
	}
	people.Wait()
	return good.Load(), bad.Load()
}

// latencies are the durations of requests.
type latencies struct {
	mu  sync.Mutex
	all []time.Duration
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, d)
}

func (l *latencies) percentile(p int) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	slices.Sort(l.all)
	return l.all[len(l.all)*p/100]
}

// gauges are what a server takes.
type gauges struct{ resident, goroutines, descriptors, series int }

func readGauges(t *testing.T, metrics string) gauges {
	t.Helper()
	text := fetchMetrics(t, metrics)
	value := func(name string) int { return metricValue(t, text, name) }
	return gauges{value("process_resident_memory_bytes"), value("go_goroutines"), value("process_open_fds"), len(regexp.MustCompile(`(?m)^[^#]`).FindAllString(text, -1))}
}

// watchResident reads the server's memory once a second until ctx ends, and then returns what it read.
func watchResident(ctx context.Context, t *testing.T, metrics string) <-chan []int {
	out := make(chan []int, 1)
	go func() {
		var all []int
		for ctx.Err() == nil {
			all = append(all, readGauges(t, metrics).resident)
			pause(ctx, time.Second)
		}
		out <- all
	}()
	return out
}

// requireFlatMemory checks that memory is bounded and, with make soak, that it does not grow in the second half.
func requireFlatMemory(t *testing.T, resident []int) {
	t.Helper()
	half := len(resident) / 2
	first, second := slices.Max(resident[:half+1]), slices.Max(resident[half:])
	t.Logf("resident: at most %d MiB in the first half, %d MiB in the second", first>>20, second>>20)
	if raceEnabled {
		return
	}
	if max(first, second) > maxResident {
		t.Errorf("%d MiB are resident, more than %d", max(first, second)>>20, maxResident>>20)
	}
	if os.Getenv(soak) != "" && second > first+first/8 {
		t.Errorf("resident memory grows from %d to %d MiB", first>>20, second>>20)
	}
}

// requireBaseline waits until the server has as many goroutines and descriptors as before the attack, and compares its series.
func requireBaseline(t *testing.T, before gauges, metrics string) {
	t.Helper()
	var now gauges
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		now = readGauges(t, metrics)
		if now.goroutines <= before.goroutines+maxLeft && now.descriptors <= before.descriptors+maxLeft {
			break
		}
	}
	t.Logf("before: %+v, after: %+v", before, now)
	if now.goroutines > before.goroutines+maxLeft {
		t.Errorf("%d goroutines, before %d", now.goroutines, before.goroutines)
	}
	if now.descriptors > before.descriptors+maxLeft {
		t.Errorf("%d descriptors, before %d", now.descriptors, before.descriptors)
	}
	if more := now.series - before.series; more > maxNewSeries {
		t.Errorf("%d more series", more)
	}
}
