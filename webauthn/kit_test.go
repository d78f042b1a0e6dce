package webauthn

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// A kit is an engine with the strategy, a clock that tests set and a recorded log.
type kit struct {
	*watchword.Engine
	t        testing.TB
	strategy *Strategy
	config   watchword.Config
	refusals *refusalLog

	mu  sync.Mutex
	now time.Time
}

func testConfig() Config {
	return Config{RPID: "example.com", RPName: "Example", Secret: watchword.NewCode("a secret of these tests, of 32 bytes and more"),
		Origins: []string{"https://login.example.com", "https://example.com:8443"}, NativeOrigins: []string{"android:apk-key-hash:abc"}}
}

func newKit(t testing.TB, options ...func(*Config, *watchword.Config)) *kit {
	t.Helper()
	k := &kit{t: t, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), refusals: &refusalLog{}}
	cfg := testConfig()
	cfg.Logger = slog.New(k.refusals)
	k.config = watchword.Config{App: "shop", Issuer: "https://verify.example.com", Factors: &memory.Factors{}, Clock: k.time,
		Keys: []watchword.Key{testKey(t, "k1")}, Identity: testKey(t, "identity"), Store: memory.New(memory.Config{Clock: k.time})}
	for _, o := range options {
		o(&cfg, &k.config)
	}
	var err error
	if k.strategy, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	k.config.Strategies = []watchword.Strategy{k.strategy}
	k.Engine = k.newNode()
	return k
}

// newNode returns another engine of the same app.
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

// A startedChallenge is a challenge with its options as a browser parses them.
type startedChallenge struct {
	id, purpose, subject string
	options              map[string]any
}

func (k *kit) start(r watchword.StartRequest) startedChallenge {
	k.t.Helper()
	r.Strategy, r.Authority.Admin = "webauthn", true
	s, err := k.Start(context.Background(), r)
	if err != nil {
		k.t.Fatalf("start: %v", err)
	}
	return startedChallenge{s.ID, r.Purpose, r.Subject, encodeOptions(k.t, s.Public)}
}

func (k *kit) startChallenge(purpose, subject string) startedChallenge {
	k.t.Helper()
	return k.start(watchword.StartRequest{Purpose: purpose, Subject: subject})
}

// encodeOptions returns the options as a browser parses them.
func encodeOptions(t testing.TB, public map[string]any) (options map[string]any) {
	t.Helper()
	data, err := json.Marshal(public)
	if err == nil {
		err = json.Unmarshal(data, &options)
	}
	if err != nil {
		t.Fatal(err)
	}
	return options
}

func (k *kit) answer(a startedChallenge, answer string) (*watchword.Result, error) {
	return k.Check(context.Background(), a.id, watchword.CheckRequest{Purpose: a.purpose, Subject: a.subject,
		Answer: watchword.Answer{Text: answer, Object: true}})
}

// enrol registers a device for a subject.
func (k *kit) enrol(subject string, d *device, mutations ...mutation) watchword.Factor {
	k.t.Helper()
	a := k.startChallenge(watchword.PurposeEnrol, subject)
	r, err := k.answer(a, d.create(a.options, mutations...))
	if err != nil {
		k.t.Fatalf("enrol: %v (%s)", err, k.refusals.lastReason())
	}
	return *r.Factor
}

// signIn answers a new challenge with a device.
func (k *kit) signIn(purpose, subject string, d *device, mutations ...mutation) (*watchword.Result, error) {
	k.t.Helper()
	a := k.startChallenge(purpose, subject)
	return k.answer(a, d.get(a.options, mutations...))
}

// mustSignIn ends the test unless the answer is accepted.
func (k *kit) mustSignIn(purpose, subject string, d *device, mutations ...mutation) *watchword.Claims {
	k.t.Helper()
	r, err := k.signIn(purpose, subject, d, mutations...)
	if err != nil {
		k.t.Fatalf("%s: %v (%s)", purpose, err, k.refusals.lastReason())
	}
	return r.Claims
}

// malformed stands for a malformed credential in wantRefusal.
const malformed refusal = ""

// wantRefusal expects watchword.ErrIncorrectAnswer and the reason in the log or, for malformed, an invalid request that
// names members of the answer.
func (k *kit) wantRefusal(err error, reason refusal) {
	k.t.Helper()
	if reason == malformed {
		if fields := invalidFields(err); len(fields) == 0 || !strings.HasPrefix(fields[0], "answer") {
			k.t.Errorf("got %v, want an invalid request that names members of the answer", err)
		}
		return
	}
	if !errors.Is(err, watchword.ErrIncorrectAnswer) || err.Error() != watchword.ErrIncorrectAnswer.Error() {
		k.t.Errorf("got %v, want a wrong answer", err)
	}
	if got := k.refusals.lastReason(); got != string(reason) {
		k.t.Errorf("refused for %q, want %q", got, reason)
	}
}

// invalidFields returns the fields that an invalid request names.
func invalidFields(err error) (names []string) {
	var refused *watchword.Error
	if errors.As(err, &refused) && errors.Is(err, watchword.ErrInvalidRequest) {
		for _, f := range refused.Fields {
			names = append(names, f.Field)
		}
	}
	return names
}

func parseAssertion(answer string) (*protocol.ParsedCredentialAssertionData, error) {
	c, err := readCredential(answer)
	if err != nil {
		return nil, err
	}
	return c.parseAssertion()
}

func parseRegistration(answer string) (*protocol.ParsedCredentialCreationData, error) {
	c, err := readCredential(answer)
	if err != nil {
		return nil, err
	}
	return c.parseRegistration()
}

// A refusalLog is a log handler that records refusals.
type refusalLog struct {
	mu      sync.Mutex
	records []slog.Record
}

func (*refusalLog) Enabled(context.Context, slog.Level) bool { return true }
func (r *refusalLog) WithAttrs([]slog.Attr) slog.Handler     { return r }
func (r *refusalLog) WithGroup(string) slog.Handler          { return r }
func (r *refusalLog) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.records = append(r.records, record)
	return nil
}

func (r *refusalLog) lastReason() (reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.records) > 0 {
		r.records[len(r.records)-1].Attrs(func(a slog.Attr) bool {
			if a.Key == "reason" {
				reason = a.Value.String()
			}
			return true
		})
	}
	return reason
}

func (r *refusalLog) countWarnings() (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.records {
		if record.Level == slog.LevelWarn {
			n++
		}
	}
	return n
}
