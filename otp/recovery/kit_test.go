package recovery

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/sql/postgres"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// A kit is an engine with the strategy and a clock that tests set.
type kit struct {
	*watchword.Engine
	t      testing.TB
	config watchword.Config

	mu     sync.Mutex
	now    time.Time
	events []string
}

func newKit(t testing.TB, app string, factors watchword.Factors) *kit {
	t.Helper()
	k := &kit{t: t, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	k.config = watchword.Config{App: app, Issuer: "https://verify.example.com", Factors: factors, Strategies: []watchword.Strategy{New()},
		Keys: []watchword.Key{testKey(t, "k1")}, Identity: testKey(t, "identity"), Clock: k.time, NoBudget: true, Tries: 5}
	k.config.Store = memory.New(memory.Config{Clock: k.time})
	k.config.Events = func(_ context.Context, e watchword.Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.events = append(k.events, e.Type)
	}
	k.Engine = k.newNode()
	return k
}

// newNode is another node of the same app.
func (k *kit) newNode() *watchword.Engine {
	k.t.Helper()
	e, err := watchword.New(k.config)
	if err != nil {
		k.t.Fatal(err)
	}
	return e
}

func testKey(t testing.TB, id string) watchword.Key {
	t.Helper()
	key, err := watchword.NewKey(id, []byte("a secret of this test: "+id+" ................"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (k *kit) time() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

func (k *kit) advance(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = k.now.Add(d)
}

// countEvents returns the number of events of a type.
func (k *kit) countEvents(event string) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.events {
		if e == event {
			n++
		}
	}
	return n
}

func (k *kit) start(r watchword.StartRequest) *watchword.Started {
	k.t.Helper()
	r.Strategy, r.Authority.Admin = "recovery", true
	s, err := k.Start(context.Background(), r)
	if err != nil {
		k.t.Fatalf("start: %v", err)
	}
	return s
}

func (k *kit) answer(id, subject, purpose, code string) (*watchword.Result, error) {
	return k.Check(context.Background(), id, watchword.CheckRequest{Purpose: purpose, Subject: subject, Answer: watchword.Answer{Text: code}})
}

// checkCode answers a new challenge for a password reset.
func (k *kit) checkCode(subject, code string) error {
	k.t.Helper()
	s := k.start(watchword.StartRequest{Purpose: "password_reset", Subject: subject})
	_, err := k.answer(s.ID, subject, "password_reset", code)
	return err
}

// beginEnrol begins an enrolment and returns its challenge and codes.
func (k *kit) beginEnrol(subject string) (id string, codes []string) {
	k.t.Helper()
	s := k.start(watchword.StartRequest{Purpose: watchword.PurposeEnrol, Subject: subject})
	return s.ID, s.Public["codes"].([]string)
}

// enrol enrols a set and returns its codes.
func (k *kit) enrol(subject string) []string {
	k.t.Helper()
	id, codes := k.beginEnrol(subject)
	if _, err := k.answer(id, subject, watchword.PurposeEnrol, codes[3]); err != nil {
		k.t.Fatalf("confirm: %v", err)
	}
	return codes
}

// onlyFactor returns the only factor of a subject.
func (k *kit) onlyFactor(subject string) watchword.Factor {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil || len(all) != 1 {
		k.t.Fatalf("%s has %d factors: %v", subject, len(all), err)
	}
	return all[0]
}

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The same tests on every store of factors.
func TestStrategyOnEachStore(t *testing.T) {
	for _, kept := range []struct {
		in   string
		open func(testing.TB) watchword.Factors
	}{
		{"memory", func(testing.TB) watchword.Factors { return &memory.Factors{} }},
		{"sqlite", openSQLite},
		{"postgres", openPostgres},
	} {
		t.Run(kept.in, func(t *testing.T) {
			factors := kept.open(t)
			for name, run := range map[string]func(*testing.T, *kit){
				"used-once": testCodesAreAcceptedOnce, "one-approval": testOneApprovalForACode, "new-set": testNewSetReplacesOldOne, "foreign": testCodesOfOthersAreRefused,
			} {
				t.Run(name, func(t *testing.T) { run(t, newKit(t, name, factors)) })
			}
		})
	}
}

func openSQLite(t testing.TB) watchword.Factors {
	f, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "watchword.db"))
	return opened(t, f, err)
}

func openPostgres(t testing.TB) watchword.Factors {
	f, err := postgres.Open(t.Context(), pgtest.Start(t).Database(t))
	return opened(t, f, err)
}

// A database is a store of factors that is closed.
type database interface {
	watchword.Factors
	Close() error
}

func opened(t testing.TB, f database, err error) watchword.Factors {
	t.Helper()
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

func sorted(codes []string) []string { return slices.Sorted(slices.Values(codes)) }
