package postgres

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/factorstest"
)

func TestMain(m *testing.M) {
	factorstest.RunCrashChild(func(ctx context.Context, url string) (watchword.Factors, error) { return open(ctx, url, patience) })
	os.Exit(m.Run())
}

// patience is the longest wait for a condition, and the time-out of statements. It is long, so that a busy machine fails no test.
const patience = 2 * time.Minute

// openURL opens a database until the test ends.
func openURL(t testing.TB, url string) *Factors {
	t.Helper()
	return openWithin(t, url, patience)
}

// openWithin is openURL with a time-out of statements.
func openWithin(t testing.TB, url string, timeout time.Duration) *Factors {
	t.Helper()
	f, err := open(t.Context(), url, timeout)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// The tests use two servers: one for all tests, and one that is crashed.
func TestFactorsOnServer(t *testing.T) {
	server := pgtest.Start(t)
	t.Run("Factors", func(t *testing.T) {
		shared := openURL(t, server.Database(t))
		factorstest.Run(t, func(*testing.T) watchword.Factors { return shared })
	})
	t.Run("OpenTogether", func(t *testing.T) { testOpenTogether(t, server.Database(t)) })
	t.Run("Settings", func(t *testing.T) { testSettings(t, server) })
	t.Run("Grants", func(t *testing.T) { testDocumentedGrants(t, server) })
	t.Run("ReadOnly", func(t *testing.T) { testReadOnly(t, server.Database(t)) })
	t.Run("RoleOfCompose", func(t *testing.T) { testRoleOfCompose(t, server) })
}

func TestCommittedFactorsSurviveCrashes(t *testing.T) {
	server := pgtest.Start(t)
	t.Run("Crash", func(t *testing.T) { testCrash(t, server) })
	t.Run("Hangs", func(t *testing.T) { testHangs(t, server) })
	t.Run("GoesAndComesBack", func(t *testing.T) { testGoesAndComesBack(t, server) })
}

// Half of the rounds kill the server with all its processes instead of the node.
func testCrash(t *testing.T, server *pgtest.Server) {
	url := server.Database(t)
	factorstest.RunCrash(t, url, func(t *testing.T) watchword.Factors { return openURL(t, url) }, func() bool {
		if !server.CanCrash() || rand.IntN(2) == 0 {
			return false
		}
		server.Crash()
		server.Restart(t)
		return true
	})
}

// Several nodes open a new database at the same time.
func testOpenTogether(t *testing.T, url string) {
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			f, err := open(t.Context(), url, patience)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer f.Close()
			err = f.Create(t.Context(), watchword.SealedFactor{App: "shop", ID: string(rune('a' + n)), Subject: "user_42", Strategy: "totp", Data: []byte("x")})
			if err != nil {
				t.Errorf("create: %v", err)
			}
		})
	}
	all.Wait()
	got, err := openURL(t, url).List(t.Context(), "shop", "user_42")
	if err != nil || len(got) != 8 {
		t.Errorf("%d factors: %v", len(got), err)
	}
}

// A change is durable and concurrent updates are no failures, whatever the settings of the server or the role are. Stronger
// settings of durability are kept.
func testSettings(t *testing.T, server *pgtest.Server) {
	for set, want := range map[string]string{
		"synchronous_commit = off":                       "on",
		"synchronous_commit = remote_apply":              "remote_apply",
		"default_transaction_isolation = 'serializable'": "on",
	} {
		url := server.Database(t)
		openURL(t, url)
		alter(t, url, set)
		f := openURL(t, url)
		row := watchword.SealedFactor{App: "shop", ID: "a", Subject: "user_42", Strategy: "totp", Version: 1, Data: []byte("x")}
		if err := f.Create(t.Context(), row); err != nil {
			t.Fatal(err)
		}
		committed := recordCommits(t, url)
		var updated atomic.Int64
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				err := f.Update(t.Context(), row)
				if err == nil {
					updated.Add(1)
				} else if !errors.Is(err, watchword.ErrConflict) {
					t.Errorf("%s: %v", set, err)
				}
			})
		}
		all.Wait()
		if n := updated.Load(); n != 1 {
			t.Errorf("%s: %d of 20 updates of one version succeeded", set, n)
		}
		if got := committed(); got != want {
			t.Errorf("%s: committed with synchronous_commit %q, want %q", set, got, want)
		}
	}
}

// recordCommits lets the database record the setting synchronous_commit at the end of each transaction that updates a factor. The
// returned function returns the settings.
func recordCommits(t *testing.T, url string) (committed func() string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	for _, statement := range []string{
		"CREATE TABLE commits (setting text)",
		"CREATE FUNCTION record() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO commits VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$",
		"CREATE CONSTRAINT TRIGGER record AFTER UPDATE ON watchword_factors DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION record()",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	return func() (settings string) {
		if err := db.QueryRow("SELECT string_agg(setting, ' ') FROM commits").Scan(&settings); err != nil {
			t.Error(err)
		}
		return settings
	}
}

// alter changes a setting of a database for later connections.
func alter(t *testing.T, url, set string) {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("SET default_transaction_read_only = off"); err != nil {
		t.Fatal(err)
	}
	_, err = db.Exec("DO $$ BEGIN EXECUTE 'ALTER DATABASE ' || current_database() || $s$ SET " + set + "$s$; END $$")
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// awaitPing waits until Ping returns one of these reasons, or no error if there is none. A result of Ping is cached for a
// second.
func awaitPing(t *testing.T, f *Factors, reasons ...string) {
	t.Helper()
	var err error
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		err = f.Ping(t.Context())
		if err == nil && len(reasons) == 0 {
			return
		}
		for _, reason := range reasons {
			if err != nil && strings.Contains(err.Error(), reason) {
				return
			}
		}
	}
	t.Errorf("Ping = %v, want one of %q", err, reasons)
}

// Ping reports a read-only database, such as a replica, and its recovery.
func testReadOnly(t *testing.T, url string) {
	f := openURL(t, url)
	awaitPing(t, f)
	turn := func(set string) {
		t.Helper()
		alter(t, url, set)
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		_, err = db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	turn("default_transaction_read_only = on")
	awaitPing(t, f, "database is read-only (SQLSTATE 25006)")
	turn("default_transaction_read_only = off")
	awaitPing(t, f)
	if err := f.Create(t.Context(), watchword.SealedFactor{App: "shop", ID: "a", Subject: "user_42", Strategy: "totp", Data: []byte("x")}); err != nil {
		t.Error(err)
	}
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rows int
	if err := db.QueryRow("SELECT count(*) FROM watchword_factors WHERE app = ''").Scan(&rows); err != nil || rows > 1 {
		t.Errorf("probes left %d rows, %v", rows, err)
	}
}

// Ping reports a server that is down, and its recovery, without a new Open.
func testGoesAndComesBack(t *testing.T, server *pgtest.Server) {
	if !server.CanCrash() {
		t.Skipf("%s is not ours to stop", pgtest.Environment)
	}
	f := openURL(t, server.Database(t))
	s := watchword.SealedFactor{App: "shop", ID: "a", Subject: "user_42", Strategy: "totp", Data: []byte("x")}
	if err := f.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	server.Crash()
	awaitPing(t, f, "exchange with the peer failed", "connection")
	if _, err := f.Get(t.Context(), "shop", "a"); err == nil || strings.Contains(err.Error(), watchword.ErrNotFound.Error()) {
		t.Errorf("gone, and answers: %v", err)
	}
	server.Restart(t)
	awaitPing(t, f)
	if got, err := f.Get(t.Context(), "shop", "a"); err != nil || got.Version != 1 {
		t.Errorf("after the crash: %+v, %v", got, err)
	}
}

func TestOpenErrorsHoldNoPassword(t *testing.T) {
	for _, url := range []string{
		"postgres://user:hunter2@localhost:notaport/db",
		"postgres://user:hunter2@[::1/db",
		"host=localhost password=hunter2 port=x",
		"postgres://user:hunter2@127.0.0.1:1/db?connect_timeout=2",
		"postgres://user:hunter2@/db?host=/no/such/folder",
		"postgres://user:p%zzhunter2@localhost/db",
	} {
		f, err := Open(t.Context(), url)
		if err == nil {
			t.Errorf("%q was opened", url)
			_ = f.Close()
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error contains the password: %v", err)
		}
	}
}
