package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/store/memory"
)

// soak is the environment variable with which make soak asks for more rounds.
const soak = "WATCHWORD_SOAK"

// rounds returns how often a case is repeated.
func rounds(usually, soaking int) int {
	if os.Getenv(soak) != "" {
		return soaking
	}
	return usually
}

// A redisProxy is between a server and a Redis, or all nodes of a Cluster.
type redisProxy interface {
	URL() string
	SetLag(toServer, toClient time.Duration)
	HoldNth(word string, n int) *redistest.Hold
}

// A testStorage is the storage of several servers: a Redis, to which each has a proxy, and a database.
type testStorage struct {
	dir      string // of the development keys
	database string // its URL
	proxy    func() redisProxy
}

// eachStorage runs a test on each supported combination, in parallel.
func eachStorage(t *testing.T, test func(t *testing.T, s testStorage)) {
	t.Run("redis and sqlite", func(t *testing.T) {
		t.Parallel()
		server, dir := redistest.Start(t), t.TempDir()
		test(t, testStorage{dir, sqliteURL(filepath.Join(dir, databaseFile)).Reveal(),
			func() redisProxy { return redistest.StartProxy(t, server.Addr) }})
	})
	t.Run("cluster and postgres", func(t *testing.T) {
		t.Parallel()
		cluster, database := redistest.StartCluster(t), pgtest.Start(t).Database(t)
		test(t, testStorage{t.TempDir(), database, func() redisProxy { return redistest.StartClusterProxy(t, cluster) }})
	})
}

// server starts a server that reaches Redis through a proxy.
func (s testStorage) server(t *testing.T, through redisProxy) *node {
	t.Helper()
	return startNode(t, s.dir, through.URL(), "--database", s.database, "--log-level", "error")
}

// factors opens the servers' database with their keys.
func (s testStorage) factors(t *testing.T) *watchword.Engine {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var keys settings
	must(loadDataDir(s.dir, &keys))
	open, err := parseDatabaseURL(s.database)
	must(err)
	factors, err := open(t.Context())
	must(err)
	t.Cleanup(func() { _ = factors.Close() })
	byTime, err := totp.New(totp.Config{Issuer: devApp})
	must(err)
	byCounter, err := totp.NewHOTP(totp.HOTPConfig{Issuer: devApp})
	must(err)
	engine, err := watchword.New(watchword.Config{App: devApp, Issuer: "https://verify.example.com", Keys: keys.keys, Identity: keys.identity,
		Store: memory.New(memory.Config{}), Factors: factors, Strategies: []watchword.Strategy{byTime, byCounter, recovery.New()}})
	must(err)
	return engine
}

// people counts subjects. Each case has its own, with limits of its own.
var people atomic.Int64

func newSubject() string { return fmt.Sprintf("person_%d", people.Add(1)) }

func (n *node) post(path string, body object) (reply, error) {
	return n.send(n.t.Context(), apiRequest{method: http.MethodPost, path: path, body: body})
}

// begin starts a challenge for a subject.
func (n *node) begin(strategy, purpose, subject string) (reply, error) {
	r, err := n.post("/v1/challenges", object{"strategy": strategy, "purpose": purpose, "subject": subject})
	if err == nil && r.status != http.StatusCreated {
		err = fmt.Errorf("start: %d %s", r.status, r.text)
	}
	return r, err
}

// answer sends an answer to a challenge.
func (n *node) answer(id, purpose, subject string, answer any) (reply, error) {
	return n.post("/v1/challenges/"+id+"/check", object{"purpose": purpose, "subject": subject, "answer": answer})
}

// outcome returns the status and, of a refused request, the problem code.
func (r reply) outcome() string {
	if r.errorCode() == "" {
		return fmt.Sprint(r.status)
	}
	return fmt.Sprint(r.status, " ", r.errorCode())
}
