package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// documentedRights returns the rights that docs/operating.md gives with ACL SETUSER: those of every server, and those that
// wait_replicas and a Cluster need too.
func documentedRights(t *testing.T) (common, replicas, cluster []string) {
	t.Helper()
	for _, line := range regexp.MustCompile(`(?m)^ACL SETUSER watchword .*$`).FindAllString(readDoc(t, "../../docs/operating.md"), -1) {
		rights := slices.DeleteFunc(strings.Fields(line), func(word string) bool { return !strings.ContainsAny(word[:1], "+~") })
		switch {
		case slices.Contains(rights, "+wait"):
			replicas = rights
		case slices.Contains(rights, "+asking"):
			cluster = rights
		default:
			common = append(common, rights...)
		}
	}
	if len(common) == 0 || len(replicas) == 0 || len(cluster) == 0 {
		t.Fatalf("docs/operating.md has the rights %q, %q and %q", common, replicas, cluster)
	}
	return common, replicas, cluster
}

// The documented rights are enough, and none is too many: without any of them /readyz and doctor name a missing right, and both
// recover by themselves.
func TestDocumentedRedisRightsAreMinimal(t *testing.T) {
	t.Parallel()
	rights, ofReplicas, ofCluster := documentedRights(t)
	const servers = 4
	for n := range servers {
		t.Run(fmt.Sprint("part ", n), func(t *testing.T) {
			t.Parallel()
			redis := redistest.Start(t)
			s := startWithRights(t, []*redistest.Server{redis}, "redis://watchword:kF3vQ8zLwR2x@"+redis.Addr, 0, rights)
			for i := n; i < len(rights); i += servers {
				s.requireNeeded(rights[i])
			}
		})
	}
	t.Run("replicas", func(t *testing.T) {
		t.Parallel()
		redis := redistest.Start(t, "--repl-diskless-sync-delay", "0")
		host, port := redis.HostPort()
		redistest.Start(t, "--replicaof", host+" "+port)
		if err := redis.AwaitReplica(t.Context()); err != nil {
			t.Fatal(err)
		}
		s := startWithRights(t, []*redistest.Server{redis}, "redis://watchword:kF3vQ8zLwR2x@"+redis.Addr, 1, slices.Concat(rights, ofReplicas))
		for _, right := range ofReplicas {
			s.requireNeeded(right)
		}
	})
	t.Run("cluster", func(t *testing.T) {
		t.Parallel()
		cluster := redistest.StartCluster(t)
		s := startWithRights(t, cluster.Nodes[:], strings.Replace(cluster.URL(), "://", "://watchword:kF3vQ8zLwR2x@", 1), 0, slices.Concat(rights, ofCluster))
		for _, right := range ofCluster {
			s.requireNeeded(right)
		}
	})
}

// A limitedServer is a server whose Redis user has certain rights.
type limitedServer struct {
	*node
	config string
	env    []string
	redis  []*redistest.Server
	rights []string
}

// startWithRights starts a server whose user of Redis has the rights.
func startWithRights(t *testing.T, redis []*redistest.Server, redisURL string, waitReplicas int, rights []string) *limitedServer {
	t.Helper()
	sink := startSink(t)
	s := &limitedServer{redis: redis, rights: rights, env: []string{"SSL_CERT_FILE=" + sink.certificate}}
	s.node = &node{t: t}
	s.allow(rights)
	s.config = writeProductionConfig(t, redisURL, `apps:
  - id: shop
    keys: [{sha256: `+apiKeyDigest("shop-key")+`, scopes: [challenges]}]
    send: {sms: ["webhook+https://`+sink.address+`/?secret=`+eventsSecret+`"]}
`)
	if waitReplicas > 0 {
		text := strings.Replace(readDoc(t, s.config), `redis: "`+redisURL+`"`, fmt.Sprintf(`redis: {url: "%s", wait_replicas: %d}`, redisURL, waitReplicas), 1)
		if err := os.WriteFile(s.config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.node = startServer(t, s.env, "--config", s.config)
	s.key = "shop-key"
	s.start(func(body object) { body["channel"], body["to"] = "sms", "+14155550123" })
	return s
}

// allow gives the user exactly these rights.
func (s *limitedServer) allow(rights []string) {
	s.t.Helper()
	command := []any{"acl", "setuser", "watchword", "reset", "on", ">kF3vQ8zLwR2x"}
	for _, right := range rights {
		command = append(command, right)
	}
	for _, r := range s.redis {
		if _, err := r.Do(s.t.Context(), command...); err != nil {
			s.t.Fatal(err)
		}
	}
}

// requireNeeded takes a right away and gives it back.
func (s *limitedServer) requireNeeded(right string) {
	s.t.Helper()
	s.t.Logf("without %s", right)
	s.allow(slices.DeleteFunc(slices.Clone(s.rights), func(r string) bool { return r == right }))
	s.awaitReadiness(http.StatusServiceUnavailable, "user has no right to a command or a key")
	s.awaitDoctor(s.env, s.config, "user has no right to a command or a key")
	s.allow(s.rights)
	s.awaitReadiness(http.StatusOK, "")
	s.awaitDoctor(s.env, s.config, "")
}

// doctor runs `watchword doctor` and returns what it prints.
func (n *node) doctor(env []string, config string) (string, error) {
	cmd := exec.Command("watchword", "doctor", "--config", config)
	cmd.Env = append(cmd.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// awaitDoctor runs the doctor until it fails with a text or, without one, passes. On a busy machine a check may not end in time.
func (n *node) awaitDoctor(env []string, config, cause string) {
	n.t.Helper()
	var out string
	var err error
	for until := time.Now().Add(testTimeout); time.Now().Before(until); {
		if out, err = n.doctor(env, config); (err != nil) == (cause != "") && strings.Contains(out, cause) {
			return
		}
	}
	n.t.Errorf("doctor never printed %q, last: %v\n%s", cause, err, out)
}

// awaitReadiness waits until /readyz has a status and a text.
func (n *node) awaitReadiness(status int, text string) {
	n.t.Helper()
	var r reply
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if r = n.call("GET", readinessPath, nil); r.status == status && strings.Contains(r.text, text) {
			return
		}
	}
	n.t.Errorf("/readyz never was %d with %q, last: %d %s", status, text, r.status, r.text)
}
