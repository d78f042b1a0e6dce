package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/server"
)

// maxBytesPerApp is the most memory that an idle app may take: about twice of what it takes.
const maxBytesPerApp = 160 << 10

// Apps share what is the same for all of them, such as the built-in templates, and reserve nothing that they may never use.
func TestIdleAppTakesLittleMemory(t *testing.T) {
	const apps = 200
	startApps(t, 1) // what all apps share
	before := memoryInUse()
	startApps(t, apps)
	if each := (memoryInUse() - before) / apps; each > maxBytesPerApp {
		t.Errorf("an app takes %d KiB", each>>10)
	} else {
		t.Logf("an app takes %d KiB", each>>10)
	}
}

// startApps starts a server in memory with a number of apps.
func startApps(t *testing.T, apps int) {
	startInProcessWithEngines(t, func(s *settings) { s.apps = manyApps(s.apps[0], apps) })
}

// manyApps returns apps like the given one, each with passkeys, senders for two channels and an event endpoint.
func manyApps(like appSettings, count int) []appSettings {
	apps := make([]appSettings, count)
	url := watchword.NewCode("webhook+http://localhost:1/?secret=" + eventsSecret)
	for i := range apps {
		a := like
		a.id, a.rpID, a.origins = fmt.Sprint("app-", i), "example.com", []string{"https://example.com"}
		a.keys = []apiKey{{sha256.Sum256([]byte(a.id)), []string{server.ScopeChallenges}}}
		a.send = map[string][]senderSettings{"email": {{"send.email[0]", url}}, "sms": {{"send.sms[0]", url}}}
		a.events = []eventsSettings{{url: url}}
		apps[i] = a
	}
	return apps
}

// memoryInUse returns the bytes of the heap and of stacks after a garbage collection.
func memoryInUse() int {
	runtime.GC()
	runtime.GC() // the first one empties pools, the second one frees what was in them
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// On a quiet machine a server with a thousand apps listens within two seconds and takes less than 150 MiB:
//
//	WATCHWORD_TIMING=1 go test -run TestThousandApps -v ./cmd/watchword
func TestThousandAppsStartInTwoSecondsAndTakeLittleMemory(t *testing.T) {
	if os.Getenv("WATCHWORD_TIMING") == "" {
		t.Skip("measures time: WATCHWORD_TIMING=1")
	}
	for name, url := range map[string]func() string{
		"memory": func() string { return memoryURL },
		"redis":  func() string { return redistest.Start(t).URL() },
	} {
		t.Run(name, func(t *testing.T) {
			config := "apps:\n"
			for i := range 1000 {
				id := fmt.Sprint("app-", i)
				config += "  - id: " + id + "\n    keys: [{sha256: " + apiKeyDigest(id) + ", scopes: [challenges]}]\n" +
					"    send: {email: [\"webhook+https://example.com/?secret=" + eventsSecret + "\"]}\n"
			}
			path := writeProductionConfig(t, url(), config)
			began := time.Now()
			n := startServer(t, nil, "--log-level", "error", "--config", path)
			took := time.Since(began)
			time.Sleep(3 * time.Second) // background tasks of every app have run
			size := residentMiB(t, n.pid)
			t.Logf("listening after %s, %d MiB", took.Round(time.Millisecond), size)
			if took > 2*time.Second || size > 150 {
				t.Error("more than two seconds or 150 MiB")
			}
		})
	}
}

// residentMiB returns the resident memory of a process.
func residentMiB(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("needs /proc")
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}
