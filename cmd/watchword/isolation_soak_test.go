package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// maxHeaps are the maximum heaps of a server with twelve hostile apps, in bytes, including garbage.
var maxHeaps = map[string]int{"memory": 1 << 30, "redis": 256 << 20}

// Twelve apps do their worst within their own limits: checks from new addresses, starts with much data and new idempotency keys
// whose messages and events are never accepted, and long polls. Meanwhile the people of another app sign in, each from a new
// address, and get the right reply to every request. With make soak it takes two minutes on each storage. A busy machine's Redis may
// be too slow, so requests answered 503 are repeated; but connections never run out.
func TestAppServesItsUsersWhileTwelveAppsAreHostile(t *testing.T) {
	repeats := map[string]int{"memory": 0, "redis": 5}
	for name, url := range map[string]func() string{
		"memory": func() string { return memoryURL },
		"redis":  func() string { return redistest.Start(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			silent := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				<-r.Context().Done()
			}))
			t.Cleanup(silent.Close)
			codes := startCodeReceiver(t, httptest.NewTLSServer)
			metrics := freeport.Address(t)
			n := startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, silent)}, "--log-level", "error",
				"--metrics-listen", metrics, "--config", writeTenantsConfig(t, url(), codes.senderURL(), silent.URL))
			n.key = "quiet"
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var all sync.WaitGroup
			attack := &attack{node: n, replies: map[string]int{}}
			for app := range hostileApps {
				attack.run(ctx, &all, fmt.Sprint("hostile-", app))
			}
			signInAtPace(t, quietApp{node: n, codes: codes, repeats: repeats[name]}, rounds(60, 4_000))
			stop()
			all.Wait()
			t.Logf("replies to the hostile apps: %s", attack)
			if attack.count("check") == 0 || attack.count("start") == 0 || attack.count("poll") == 0 {
				t.Error("a kind of hostile request was never answered")
			}
			requireBoundedHeap(t, metrics, maxHeaps[name])
			if strings.Contains(n.log.String(), "no free connection") {
				t.Error("an app found no free connection to Redis")
			}
			n.kill() // shutdown would wait for messages that cannot be sent
		})
	}
}

// signInInterval is the time between two sign-ins: 4,000 in two minutes, which is what the default limits allow while challenges are
// kept.
const signInInterval = 30 * time.Millisecond

// signInAtPace signs a number of people in, four at a time.
func signInAtPace(t *testing.T, a quietApp, total int) {
	next := time.NewTicker(signInInterval)
	defer next.Stop()
	var started atomic.Int64
	var people sync.WaitGroup
	for range 4 {
		people.Go(func() {
			for n := int(started.Add(1)); n <= total; n = int(started.Add(1)) {
				<-next.C
				if err := a.signIn(n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	people.Wait()
}

// An attack sends the requests of hostile apps, and counts the replies.
type attack struct {
	node    *node
	mu      sync.Mutex
	replies map[string]int // by kind of request, and status
}

// run sends the requests of one app until ctx ends.
func (a *attack) run(ctx context.Context, all *sync.WaitGroup, key string) {
	var count atomic.Int64
	repeat := func(workers int, kind string, request func(n int) apiRequest) {
		for range workers {
			all.Go(func() {
				for ctx.Err() == nil {
					a.send(ctx, kind, key, request(int(count.Add(1))))
				}
			})
		}
	}
	long := strings.Repeat("x", 255)
	start := func(n int) apiRequest {
		subject := fmt.Sprint("victim-", n)
		return apiRequest{method: http.MethodPost, path: "/v1/challenges", idempotencyKey: rand.Text(),
			body: object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "subject": subject, "to": subject + "@example.com",
				"client": object{"ip": publicIP(n)}, "metadata": object{"a": long, "b": long, "c": long, "d": long}}}
	}
	newPath := func() string {
		return "/v1/challenges/" + a.send(ctx, "start", key, start(int(count.Add(1)))).str("id")
	}
	checked, polled := newPath(), newPath()
	repeat(4, "check", func(n int) apiRequest {
		return apiRequest{method: http.MethodPost, path: checked + "/check",
			body: object{"purpose": "sign_in", "subject": "victim-1", "answer": "123456", "client": object{"ip": publicIP(n)}}}
	})
	repeat(2, "start", start)
	repeat(20, "poll", func(int) apiRequest { return apiRequest{method: http.MethodGet, path: polled + "?wait=1"} })
}

func (a *attack) send(ctx context.Context, kind, key string, request apiRequest) reply {
	request.key = key
	r, err := a.node.send(ctx, request)
	if err == nil && r.body != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.replies[fmt.Sprint(kind, " ", r.status)]++
	}
	return r
}

func (a *attack) count(kind string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, times := range a.replies {
		if strings.HasPrefix(key, kind+" ") {
			n += times
		}
	}
	return n
}

func (a *attack) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(a.replies)
}

// metricValue returns the value of a metric without labels in the text of a scrape.
func metricValue(t *testing.T, text, name string) int {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("there is no metric %s", name)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(v)
}

// requireBoundedHeap checks the size of the server's heap.
func requireBoundedHeap(t *testing.T, metricsAddr string, maxHeap int) {
	t.Helper()
	text := fetchMetrics(t, metricsAddr)
	value := func(name string) int { return metricValue(t, text, name) }
	heap := value("go_memstats_heap_inuse_bytes")
	t.Logf("heap: %d MiB, next collection at %d MiB; resident: %d MiB; goroutines: %d", heap>>20, value("go_memstats_next_gc_bytes")>>20,
		value("process_resident_memory_bytes")>>20, value("go_goroutines"))
	if heap > maxHeap {
		t.Errorf("the heap has %d MiB, more than %d", heap>>20, maxHeap>>20)
	}
}

// writeTenantsConfig writes a configuration of a quiet app and the hostile ones, whose sender and event endpoint never answer. Each
// app's API key is its id.
func writeTenantsConfig(t *testing.T, redisURL, sender, silent string) string {
	t.Helper()
	config := "apps:\n"
	app := func(id, sender, more string) {
		config += "  - id: " + id + "\n    keys: [{sha256: " + apiKeyDigest(id) + ", scopes: [challenges]}]\n" +
			"    send: {email: [\"" + sender + "\"]}\n" + more
	}
	app("quiet", sender, "")
	for i := range hostileApps {
		app(fmt.Sprint("hostile-", i), "webhook+"+silent+"/?secret="+eventsSecret, "    events: [{url: \""+silent+"/?secret="+eventsSecret+"\"}]\n")
	}
	return writeProductionConfig(t, redisURL, config)
}
