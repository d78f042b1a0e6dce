package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/delivery"
	rediscounters "github.com/watchword-auth/watchword/delivery/redis"
)

// Production servers on one Redis share the counts of the prefix breaker. A challenge that one of them starts is verified at the
// next one.

// Blocks of phone numbers, of which none, one in six and all are verified.
const (
	unverifiedBlock     = "+1415231"
	seldomVerifiedBlock = "+1312231"
	verifiedBlock       = "+1212231"
)

// breakerApps are the apps, and whether their breaker is in shadow mode, which logs and does not refuse.
var breakerApps = map[string]bool{"shop": false, "bank": true}

func TestPrefixBreakerCountsAcrossProcesses(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 2, 8} {
		t.Run(fmt.Sprintf("%d processes", processes), func(t *testing.T) {
			t.Parallel()
			s := startBreakerServers(t, processes)
			for app := range breakerApps {
				s.send(app, unverifiedBlock, 36, 0)
				s.send(app, seldomVerifiedBlock, 54, 6)
				s.send(app, verifiedBlock, 40, 1)
			}
			for app := range breakerApps {
				s.wantCounts(app, seldomVerifiedBlock, 54, 9)
				s.wantCounts(app, verifiedBlock, 40, 40)
			}
			for app, shadow := range breakerApps {
				s.wantDecision(app, shadow, unverifiedBlock, 36)
			}
		})
	}
}

// Messages that are sent just before a process ends are counted.
func TestPrefixBreakerRecordsPendingCountsAtShutdown(t *testing.T) {
	s := startBreakerServers(t, 1)
	s.send("shop", verifiedBlock, 3, 1)
	s.nodes[0].stop()
	s.wantCounts("shop", verifiedBlock, 3, 3)
}

func TestLimitRulesRefuseNameOfPrefixBreaker(t *testing.T) {
	for name, problems := range map[string]int{delivery.LimitPrefixBreaker: 1, "prefix_hour": 0} {
		var c checker
		c.limitRules("app", &[]limitConfig{{Name: name, Limit: 1, Window: time.Hour, By: "prefix"}})
		if len(c.problems) != problems {
			t.Errorf("%s: %v", name, c.problems)
		}
	}
}

// wantCounts waits until Redis has the right counts of a block.
func (s *breakerServers) wantCounts(app, block string, sent, verified int64) {
	s.t.Helper()
	counters, err := rediscounters.New(s.redis.Client(s.t), "watchword")
	if err != nil {
		s.t.Fatal(err)
	}
	reads := 0
	waitFor(s.t, fmt.Sprint(sent, " sent, ", verified, " verified"), func() string {
		reads++
		counts, err := counters.Add(s.t.Context(), app, delivery.Batch{ID: fmt.Sprint(block, reads), Counts: []delivery.Count{{Key: block}}})
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

// wantDecision waits until one process has decided that a block is not verified, by the right count. Then each process refuses
// clients that are not trusted, except in shadow mode, and accepts trusted ones and the other blocks.
func (s *breakerServers) wantDecision(app string, shadow bool, block string, sent int) {
	s.t.Helper()
	decision := fmt.Sprintf(`"app":"%s","prefix":"%s","sent":%d,"verified":0,"refused_for":"1h0m0s","shadow":%t`, app, block, sent, shadow)
	waitFor(s.t, "1 with the right count, 1 in all", func() string {
		right, all := 0, 0
		for _, n := range s.nodes {
			right += strings.Count(n.log.String(), decision)
			all += strings.Count(n.log.String(), `number prefix has too few verifications","app":"`+app+`"`)
		}
		return fmt.Sprintf("%d with the right count, %d in all", right, all)
	})
	for n := range s.nodes {
		if !shadow {
			s.wantRefusal(n, app, block)
		}
		for _, accepted := range []struct {
			block         string
			trustedClient bool
		}{{block, true}, {seldomVerifiedBlock, false}, {verifiedBlock, false}} {
			if r, _ := s.start(n, app, accepted.block, accepted.trustedClient); r.status != http.StatusCreated {
				s.t.Errorf("%s, process %d: %+v: %d %s", app, n, accepted, r.status, r.text)
			}
		}
		if r, _ := s.start(n, app, block, false); (r.status != http.StatusCreated) != !shadow {
			s.t.Errorf("%s, process %d: client that is not trusted: %d %s", app, n, r.status, r.text)
		}
	}
}

// wantRefusal waits until a process knows the decision: it refuses clients that are not trusted, with the limit's name and
// Retry-After, and counts that. One start may pass by the reserved share.
func (s *breakerServers) wantRefusal(n int, app, block string) {
	s.t.Helper()
	waitFor(s.t, "429 rate_limited prefix_breaker", func() string {
		r, _ := s.start(n, app, block, false)
		if r.status == http.StatusTooManyRequests && r.header.Get("Retry-After") == "" {
			s.t.Errorf("no Retry-After: %s", r.text)
		}
		return strings.TrimSpace(fmt.Sprint(r.status, " ", r.errorCode(), " ", r.str("limit")))
	})
	metrics := fetchMetrics(s.t, s.nodes[n].loggedAddr("metrics served"))
	if want := `watchword_limits_reached_total{app="` + app + `",limit="prefix_breaker"} `; !strings.Contains(metrics, want) {
		s.t.Errorf("process %d: no %q in its metrics", n, want)
	}
}
