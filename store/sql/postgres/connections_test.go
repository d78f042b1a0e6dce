package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/factorstest"
)

// The store keeps its contract behind a pooler that gives each transaction another connection.
func TestFactorsBehindPgBouncer(t *testing.T) {
	server := pgtest.Start(t)
	through := server.StartBouncer(t, "default_pool_size = 5")
	t.Run("Factors", func(t *testing.T) {
		shared := openURL(t, through(server.Database(t)))
		factorstest.Run(t, func(*testing.T) watchword.Factors { return shared })
	})
	t.Run("OpenTogether", func(t *testing.T) { testOpenTogether(t, through(server.Database(t))) })
	t.Run("Durable", func(t *testing.T) { testDurableBehindPgBouncer(t, server, through) })
	t.Run("FewerConnections", func(t *testing.T) {
		through := server.StartBouncer(t, "default_pool_size = 20")
		testFewConnections(t, through(server.LimitedDatabase(t, 5)))
	})
}

// No setting of a session is needed: each commit is durable, on whatever connection.
func testDurableBehindPgBouncer(t *testing.T, server *pgtest.Server, through func(string) string) {
	url := server.Database(t)
	alter(t, url, "synchronous_commit = off")
	f := openURL(t, through(url))
	row := watchword.SealedFactor{App: "shop", ID: "a", Subject: "user_42", Strategy: "totp", Version: 1, Data: []byte("x")}
	if err := f.Create(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	committed := recordCommits(t, url)
	for ; row.Version <= 10; row.Version++ {
		if err := f.Update(t.Context(), row); err != nil {
			t.Fatal(err)
		}
	}
	if got := committed(); got != strings.TrimSpace(strings.Repeat("on ", 10)) {
		t.Errorf("committed with %q", got)
	}
}

// A server that gives fewer connections than the pool has makes statements wait, and none fail.
func TestStatementsWaitForTheConnectionsThatARoleMayHave(t *testing.T) {
	if n := testFewConnections(t, pgtest.Start(t).LimitedDatabase(t, 5)); n > 5 {
		t.Errorf("the pool goes on to ask for more connections than five: at most %d", n)
	}
}

func testFewConnections(t *testing.T, url string) (fewestAllowed int) {
	f := openURL(t, url)
	fewest := defaultConnections
	var mu sync.Mutex
	results := make(chan error)
	for n := range 40 {
		go func() {
			row := watchword.SealedFactor{App: "shop", ID: fmt.Sprint(n), Subject: "user_42", Strategy: "totp", Version: 1, Data: []byte("x")}
			err := f.Create(t.Context(), row)
			for ; err == nil && row.Version <= 5; row.Version++ {
				err = f.Update(t.Context(), row)
				mu.Lock()
				fewest = min(fewest, f.pool.Stats().MaxOpenConnections)
				mu.Unlock()
			}
			results <- err
		}()
	}
	for range 40 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	return fewest
}

func TestPoolNamesMissingConnections(t *testing.T) {
	server := pgtest.Start(t)
	within := func(d time.Duration) context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), d)
		t.Cleanup(cancel)
		return ctx
	}
	t.Run("of the pool", func(t *testing.T) {
		p, err := openPool(server.Database(t)+"&pool_max_conns=2", patience)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		for range 2 {
			conn, err := p.Conn(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
		}
		if _, err := p.QueryContext(within(time.Second), "SELECT 1"); err == nil || err.Error() != "no free connection in time: all 2 of the pool are in use" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of the server", func(t *testing.T) {
		url := server.LimitedDatabase(t, 1)
		other, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = other.Close() }()
		if err := other.Ping(); err != nil {
			t.Fatal(err)
		}
		p, err := openPool(url, patience)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.Close() }()
		ctx, cancel := context.WithCancel(within(patience))
		defer cancel()
		go func() { // lets the time end after a refusal
			for ctx.Err() == nil && !p.isSmall() {
				time.Sleep(time.Millisecond)
			}
			cancel()
		}()
		err = migrate(ctx, p)
		if err == nil || !strings.Contains(err.Error(), "server gives no more connections (SQLSTATE 53300)") {
			t.Errorf("got %v", err)
		}
	})
}

func TestCheckURLReadsPoolSize(t *testing.T) {
	for value, valid := range map[string]bool{"1": true, "16": true, "1000": true, "0": false, "-1": false, "1001": false, "x": false, "": false} {
		if err := CheckURL("postgres://localhost/db?pool_max_conns=" + value); (err == nil) != valid {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func (p *pool) isSmall() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.small
}

// A statement on a server that hangs fails, and so does a new connection. Both work again when the server does.
func testHangs(t *testing.T, server *pgtest.Server) {
	if !server.CanCrash() {
		t.Skipf("%s is not ours to stop", pgtest.Environment)
	}
	f := openWithin(t, server.Database(t), statementTimeout)
	server.Pause(t)
	resume := func() { server.Resume(t) }
	defer func() { resume() }()
	failed := make(chan error)
	for range 2 { // one uses the connection that is open, and one needs another
		go func() {
			_, err := f.List(t.Context(), "shop", "user_42")
			failed <- err
		}()
	}
	for range 2 {
		select {
		case err := <-failed:
			if err == nil || !strings.Contains(err.Error(), "time-out") {
				t.Errorf("got %v", err)
			}
		case <-time.After(patience):
			t.Fatal("a statement does not end")
		}
	}
	resume()
	resume = func() {}
	awaitPing(t, f)
}

// The pool counts the connections that it has, also of one that is closed.
func TestPoolCountsLiveConnections(t *testing.T) {
	p, err := openPool(pgtest.Start(t).Database(t), patience)
	if err != nil {
		t.Fatal(err)
	}
	live := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.live
	}
	if err := p.connect(t.Context()); err != nil || live() != 1 {
		t.Errorf("%d connections, %v", live(), err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	for until := time.Now().Add(patience); live() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d connections after Close", live())
		}
	}
}
