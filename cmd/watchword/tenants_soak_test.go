package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// mostHeap is how large the heap of a server with twelve hostile apps may be, in bytes, what is to be collected included.
const mostHeap = 1 << 30

// Twelve apps do what they can, each within its own limits: checks from ever new addresses, starts with much data and ever
// new idempotency keys whose messages and events nobody takes, long polls. A neighbor's people sign in all the while, each
// from a new address, and every answer that they get is the right one. With make soak it takes two minutes on each storage.
// Redis may be too slow on a busy machine, and what was answered 503 is sent again; but its connections are never all taken.
func TestNeighborSignsInWhileTwelveAppsAreHostile(t *testing.T) {
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
			codes := newTenantReceiver(t, httptest.NewTLSServer)
			metrics := freeAddress(t)
			n := startServer(t, []string{"SSL_CERT_FILE=" + certificateFile(t, silent)}, "--log-level", "error",
				"--metrics-listen", metrics, "--redis", url(), "--config", tenantsConfig(t, codes.sender(), silent.URL))
			n.key = "neighbor"
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var all sync.WaitGroup
			attack := newAttack(n.url)
			for app := range hostileApps {
				attack.run(ctx, &all, fmt.Sprint("hostile-", app))
			}
			signInAtPace(t, neighbor{n, codes, repeats[name]}, rounds(60, 4_000))
			stop()
			all.Wait()
			t.Logf("hostile: %s", attack)
			if attack.count("check") == 0 || attack.count("start") == 0 || attack.count("poll") == 0 {
				t.Error("nothing was tried")
			}
			requireBounded(t, metrics)
			if strings.Contains(n.log.String(), "no free connection") {
				t.Error("an app found no free connection to Redis")
			}
			n.kill() // nobody waits for what cannot be sent
		})
	}
}

// pace is how often one of the neighbor's people comes: in two minutes 4,000, which is what the default limits let an app
// start in the time that its challenges are kept.
const pace = 30 * time.Millisecond

// signInAtPace lets so many people sign in, four at a time.
func signInAtPace(t *testing.T, b neighbor, all int) {
	next := time.NewTicker(pace)
	defer next.Stop()
	var came atomic.Int64
	var people sync.WaitGroup
	for range 4 {
		people.Go(func() {
			for n := int(came.Add(1)); n <= all; n = int(came.Add(1)) {
				<-next.C
				if err := b.signIn(n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	people.Wait()
}

// An attack is what hostile apps send, and what they got.
type attack struct {
	url    string
	client *http.Client
	mu     sync.Mutex
	got    map[string]int // by what was sent, and status
}

func newAttack(url string) *attack {
	return &attack{url: url, client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2_000}}, got: map[string]int{}}
}

// run lets one app do its worst until the context ends.
func (a *attack) run(ctx context.Context, all *sync.WaitGroup, key string) {
	var n atomic.Int64
	again := func(workers int, what string, send func(n int) (method, path string, body object)) {
		for range workers {
			all.Go(func() {
				for ctx.Err() == nil {
					method, path, body := send(int(n.Add(1)))
					a.send(ctx, what, key, method, path, body)
				}
			})
		}
	}
	long := strings.Repeat("x", 255)
	start := func(n int) (string, string, object) {
		subject := fmt.Sprint("victim-", n)
		return http.MethodPost, "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "subject": subject,
			"to": subject + "@example.com", "client": object{"ip": address(n)}, "metadata": object{"a": long, "b": long, "c": long, "d": long}}
	}
	mine := func() string {
		method, path, body := start(int(n.Add(1)))
		return fmt.Sprint("/v1/challenges/", a.send(ctx, "start", key, method, path, body)["id"])
	}
	guessed, awaited := mine(), mine()
	again(4, "check", func(n int) (string, string, object) {
		return http.MethodPost, guessed + "/check", object{"purpose": "sign_in", "subject": "victim-1", "answer": "123456", "client": object{"ip": address(n)}}
	})
	again(2, "start", start)
	again(20, "poll", func(int) (string, string, object) { return http.MethodGet, awaited + "?wait=1", nil })
}

func (a *attack) send(ctx context.Context, what, key, method, path string, body object) (answer object) {
	text, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(ctx, method, a.url+path, bytes.NewReader(text))
	if err != nil {
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+key)
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	if what == "start" {
		req.Header.Set("Idempotency-Key", fmt.Sprint(time.Now().UnixNano(), body["subject"]))
	}
	res, err := a.client.Do(req)
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	err = json.NewDecoder(res.Body).Decode(&answer)
	_, _ = io.Copy(io.Discard, res.Body)
	if err == nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.got[fmt.Sprint(what, " ", res.StatusCode)]++
	}
	return answer
}

func (a *attack) count(what string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for key, times := range a.got {
		if strings.HasPrefix(key, what+" ") {
			n += times
		}
	}
	return n
}

func (a *attack) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return fmt.Sprint(a.got)
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

// requireBounded looks at the server's memory.
func requireBounded(t *testing.T, metrics string) {
	t.Helper()
	res, err := http.Get("http://" + metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	value := func(name string) int {
		m := regexp.MustCompile(`(?m)^` + name + ` (\S+)$`).FindSubmatch(text)
		if m == nil {
			t.Fatalf("there is no metric %s", name)
		}
		v, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil {
			t.Fatal(err)
		}
		return int(v)
	}
	heap := value("go_memstats_heap_inuse_bytes")
	t.Logf("heap: %d MiB, next collection at %d MiB; resident: %d MiB; goroutines: %d", heap>>20, value("go_memstats_next_gc_bytes")>>20,
		value("process_resident_memory_bytes")>>20, value("go_goroutines"))
	if heap > mostHeap {
		t.Errorf("the heap has %d MiB", heap>>20)
	}
}

// tenantsConfig is a configuration of the hostile apps, whose sender and receiver of events never answer, and of their
// neighbor. Each app's key is its id.
func tenantsConfig(t *testing.T, sender, silent string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("watchword", "keys", "new", "--dir", dir, "--name", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := `listen: 127.0.0.1:0
keyring: [{id: "1", secret_file: keyring-1.key}]
identity_key_file: identity.key
signing: [{kid: "1", key_file: signing-1.pem}]
public_url: https://verify.example.com
allowed_networks: [127.0.0.0/8]
apps:
`
	app := func(id, sender, more string) {
		key := sha256.Sum256([]byte(id))
		config += "  - id: " + id + "\n    keys: [{sha256: " + hex.EncodeToString(key[:]) + ", scopes: [challenges]}]\n" +
			"    send: {email: [\"" + sender + "\"]}\n" + more
	}
	app("neighbor", sender, "")
	for i := range hostileApps {
		app(fmt.Sprint("hostile-", i), "webhook+"+silent+"/?secret="+eventsSecret, "    events: [{url: \""+silent+"/?secret="+eventsSecret+"\"}]\n")
	}
	path := filepath.Join(dir, "watchword.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
