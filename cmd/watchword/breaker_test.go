package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/delivery"
	rediscounters "github.com/watchword-auth/watchword/delivery/redis"
)

// Production servers on one Redis that share the numbers of the prefix breaker: what one of them sends the next one verifies.
// One app refuses, the other one makes a dry run.

// Blocks of numbers, of which nobody, one in six and everybody verifies.
const (
	blockOfNobody    = "+1415231"
	blockOfFew       = "+1312231"
	blockOfEverybody = "+1212231"
)

// breakerApps are the apps and whether they only make a dry run.
var breakerApps = map[string]bool{"shop": false, "bank": true}

func TestBreakerCountsOverAllProcesses(t *testing.T) {
	for _, processes := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("%d processes", processes), func(t *testing.T) {
			t.Parallel()
			s := startBreakerServers(t, processes)
			for app := range breakerApps {
				s.send(app, blockOfNobody, 36, 0)
				s.send(app, blockOfFew, 54, 6)
				s.send(app, blockOfEverybody, 40, 1)
			}
			for app := range breakerApps {
				s.wantCounts(app, blockOfFew, 54, 9)
				s.wantCounts(app, blockOfEverybody, 40, 40)
			}
			for app, dry := range breakerApps {
				s.wantDecision(app, dry, blockOfNobody, 36)
			}
		})
	}
}

// What was sent in the last moment before a process ends is counted all the same.
func TestBreakerCountsWhatIsLeftAtTheEnd(t *testing.T) {
	s := startBreakerServers(t, 1)
	s.send("shop", blockOfEverybody, 3, 1)
	s.nodes[0].stop()
	s.wantCounts("shop", blockOfEverybody, 3, 3)
}

func TestLimitNamedAsTheBreakersIsRefused(t *testing.T) {
	for name, problems := range map[string]int{delivery.LimitPrefixBreaker: 1, "prefix_hour": 0} {
		var c checker
		c.limits("app", &[]limitConfig{{Name: name, Limit: 1, Window: time.Hour, By: "prefix"}})
		if len(c.problems) != problems {
			t.Errorf("%s: %v", name, c.problems)
		}
	}
}

// wantCounts waits until Redis has the true numbers of a block.
func (s *breakerServers) wantCounts(app, block string, sent, verified int64) {
	s.t.Helper()
	counters, err := rediscounters.New(s.redis.Client(s.t), "watchword")
	if err != nil {
		s.t.Fatal(err)
	}
	looks := 0
	becomes(s.t, fmt.Sprint(sent, " sent, ", verified, " verified"), func() string {
		looks++
		counts, err := counters.Add(s.t.Context(), app, delivery.Batch{ID: fmt.Sprint(block, looks), Counts: []delivery.Count{{Key: block}}})
		if err != nil {
			s.t.Fatal(err)
		}
		var sum delivery.Count
		for _, c := range counts {
			sum.Sent, sum.Verified = sum.Sent+c.Sent, sum.Verified+c.Verified
		}
		return fmt.Sprint(sum.Sent, " sent, ", sum.Verified, " verified")
	})
}

// wantDecision waits until one process has found that nobody verifies what was sent to a block, with the true number. Then
// each process refuses strangers, unless it is a dry run, and lets known devices and the other blocks pass.
func (s *breakerServers) wantDecision(app string, dry bool, block string, sent int) {
	s.t.Helper()
	found := fmt.Sprintf(`"app":"%s","prefix":"%s","sent":%d,"verified":0,"refused_for":"1h0m0s","shadow":%t`, app, block, sent, dry)
	becomes(s.t, "1 with the true number, 1 in all", func() string {
		right, all := 0, 0
		for _, n := range s.nodes {
			right += strings.Count(n.log.String(), found)
			all += strings.Count(n.log.String(), `number prefix has too few verifications","app":"`+app+`"`)
		}
		return fmt.Sprintf("%d with the true number, %d in all", right, all)
	})
	for n := range s.nodes {
		if !dry {
			s.wantRefusal(n, app, block)
		}
		for _, passes := range []struct {
			block string
			known bool
		}{{block, true}, {blockOfFew, false}, {blockOfEverybody, false}} {
			if r, _, _ := s.start(n, app, passes.block, passes.known); r.status != http.StatusCreated {
				s.t.Errorf("%s, process %d: %+v: %d %s", app, n, passes, r.status, r.text)
			}
		}
		if r, _, _ := s.start(n, app, block, false); (r.status != http.StatusCreated) != !dry {
			s.t.Errorf("%s, process %d: a stranger: %d %s", app, n, r.status, r.text)
		}
	}
}

// wantRefusal waits until a process has heard of the decision: it refuses strangers with a limit and a time, and counts that.
// One of them may be let in by the reserved share.
func (s *breakerServers) wantRefusal(n int, app, block string) {
	s.t.Helper()
	becomes(s.t, "429 rate_limited prefix_breaker", func() string {
		r, header, _ := s.start(n, app, block, false)
		if r.status == http.StatusTooManyRequests && header.Get("Retry-After") == "" {
			s.t.Errorf("no Retry-After: %s", r.text)
		}
		return strings.TrimSpace(fmt.Sprint(r.status, " ", r.code(), " ", r.str("limit")))
	})
	addr := logged(s.t, s.nodes[n], "metrics")
	res, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if want := `watchword_limits_reached_total{app="` + app + `",limit="prefix_breaker"} `; !strings.Contains(string(text), want) {
		s.t.Errorf("process %d: no %q in its metrics", n, want)
	}
}

// logged is the addr of a log line.
func logged(t *testing.T, n *node, msg string) string {
	t.Helper()
	for line := range strings.Lines(n.log.String()) {
		var record struct{ Msg, Addr string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == msg {
			return record.Addr
		}
	}
	t.Fatalf("no line %q in the log", msg)
	return ""
}
