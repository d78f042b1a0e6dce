package device_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/device"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/store/sql/postgres"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

const (
	ann       = "user_42"
	month     = 30 * 24 * time.Hour
	userAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
)

// A kit is an engine with trusted devices, codes by mail and recovery codes, and a clock that tests set.
type kit struct {
	*watchword.Engine
	t      testing.TB
	config watchword.Config
	outbox *outbox

	mu     sync.Mutex
	now    time.Time
	events []watchword.Event
}

// An outbox keeps the last message of each challenge.
type outbox struct {
	watchword.Outbox
	mu   sync.Mutex
	last map[string]watchword.Outgoing
}

func (o *outbox) Put(_ context.Context, out ...watchword.Outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, m := range out {
		o.last[m.ChallengeID] = m
	}
	return nil
}

func newKit(t testing.TB, app string, factors watchword.Factors, change ...func(*watchword.Config)) *kit {
	t.Helper()
	k := &kit{t: t, now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC), outbox: &outbox{last: map[string]watchword.Outgoing{}}}
	codes, err := otp.New(otp.Config{Clock: k.time})
	if err != nil {
		t.Fatal(err)
	}
	k.config = watchword.Config{App: app, Issuer: "https://verify.example.com", Factors: factors, Outbox: k.outbox, Channels: []string{"email"},
		Strategies: []watchword.Strategy{codes, recovery.New(), device.New()}, Addresses: func(_, to string) (watchword.Address, error) { return watchword.Address{Value: to, Kind: "email"}, nil },
		Keys: []watchword.Key{testKey(t, "k1")}, Identity: testKey(t, "identity"), Clock: k.time, NoBudget: true,
		TrustedDevices: watchword.TrustedDevices{Purposes: []string{"mfa", "payment"}, Lifetime: month}}
	k.config.Store = memory.New(memory.Config{Clock: k.time})
	k.config.Events = func(_ context.Context, e watchword.Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.events = append(k.events, e)
	}
	for _, c := range change {
		c(&k.config)
	}
	k.Engine = k.newNode()
	return k
}

// newNode returns another node of the same app, or with other settings.
func (k *kit) newNode(change ...func(*watchword.Config)) *watchword.Engine {
	k.t.Helper()
	cfg := k.config
	for _, c := range change {
		c(&cfg)
	}
	e, err := watchword.New(cfg)
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

// eventsOf returns the events of a type.
func (k *kit) eventsOf(event string) (found []watchword.Event) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.events {
		if e.Type == event {
			found = append(found, e)
		}
	}
	return found
}

// request returns the start of a verification by a code to a mailbox.
func request(subject string) watchword.VerificationRequest {
	return watchword.VerificationRequest{Purpose: "mfa", Subject: subject, Client: watchword.Client{UserAgent: userAgent},
		Methods: []watchword.MethodRequest{{Strategy: "otp", Channel: "email", To: subject + "@example.com"}}}
}

func (k *kit) start(req watchword.VerificationRequest) *watchword.StartedVerification {
	k.t.Helper()
	s, err := k.StartVerification(context.Background(), req)
	if err != nil {
		k.t.Fatalf("start: %v", err)
	}
	return s
}

// code returns the code in the last message of a verification.
func (k *kit) code(s *watchword.StartedVerification) string {
	k.t.Helper()
	k.outbox.mu.Lock()
	out := k.outbox.last[s.Challenge.ID]
	k.outbox.mu.Unlock()
	m, err := k.ComposeMessage(context.Background(), out)
	if err != nil {
		k.t.Fatalf("compose: %v", err)
	}
	return m.Code.Reveal()
}

func checkOf(req watchword.VerificationRequest, answer string) watchword.VerificationCheck {
	return watchword.VerificationCheck{CheckRequest: watchword.CheckRequest{Purpose: req.Purpose, Subject: req.Subject, Answer: watchword.Answer{Text: answer}}}
}

// remember verifies a subject by mail, and returns the token of the device that is trusted from then on.
func (k *kit) remember(subject string) watchword.Code {
	k.t.Helper()
	req := request(subject)
	req.RememberDevice = true
	s := k.start(req)
	r, err := k.CheckVerification(context.Background(), s.ID, checkOf(req, k.code(s)))
	if err != nil || r.DeviceToken.IsZero() {
		k.t.Fatalf("remember: %+v, %v", r, err)
	}
	return r.DeviceToken
}

// present starts a verification with a token.
func (k *kit) present(subject string, token watchword.Code) *watchword.StartedVerification {
	k.t.Helper()
	req := request(subject)
	req.DeviceToken = token
	return k.start(req)
}

// wantApproved presents a token that must answer the verification, and returns its successor.
func (k *kit) wantApproved(what, subject string, token watchword.Code) watchword.Code {
	k.t.Helper()
	s := k.present(subject, token)
	if s.Approved == nil || s.DeviceToken.IsZero() {
		k.t.Fatalf("%s: not approved: %+v", what, s)
	}
	return s.DeviceToken
}

// wantIgnored presents a token that must change nothing.
func (k *kit) wantIgnored(what, subject string, token watchword.Code) {
	k.t.Helper()
	k.wantNoApproval(what, func() watchword.VerificationRequest { r := request(subject); r.DeviceToken = token; return r }())
}

func (k *kit) wantNoApproval(what string, req watchword.VerificationRequest) {
	k.t.Helper()
	if s := k.start(req); s.Approved != nil || s.Status != watchword.Pending || s.Client.Known || !s.DeviceToken.IsZero() {
		k.t.Errorf("%s: approved %v, status %s, known %t, successor %t", what, s.Approved, s.Status, s.Client.Known, !s.DeviceToken.IsZero())
	}
}

// devices returns the trusted devices of a subject, as they are listed.
func (k *kit) devices(subject string) (devices []watchword.Factor) {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil {
		k.t.Fatal(err)
	}
	for _, f := range all {
		if f.Strategy == "device" {
			devices = append(devices, f)
		}
	}
	return devices
}

// enrolRecovery enrols a set of recovery codes, and returns them.
func (k *kit) enrolRecovery(subject string) []string {
	k.t.Helper()
	ctx := context.Background()
	s, err := k.Start(ctx, watchword.StartRequest{Strategy: "recovery", Purpose: watchword.PurposeEnrol, Subject: subject, Authority: watchword.Authority{Admin: true}})
	if err != nil {
		k.t.Fatal(err)
	}
	codes := s.Public["codes"].([]string)
	_, err = k.Check(ctx, s.ID, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: subject, Answer: watchword.Answer{Text: codes[0]}})
	if err != nil {
		k.t.Fatal(err)
	}
	return codes
}

// rememberByRecovery makes a device trusted by the answer of a recovery code.
func (k *kit) rememberByRecovery(subject, code string) watchword.Code {
	k.t.Helper()
	req := request(subject)
	req.Methods, req.RememberDevice = []watchword.MethodRequest{{Strategy: "recovery"}}, true
	s := k.start(req)
	r, err := k.CheckVerification(context.Background(), s.ID, checkOf(req, code))
	if err != nil || r.DeviceToken.IsZero() {
		k.t.Fatalf("remember: %+v, %v", r, err)
	}
	return r.DeviceToken
}

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// The same tests on every store of factors.
func TestTrustedDevicesOnEachStore(t *testing.T) {
	for _, store := range []struct {
		name string
		open func(testing.TB) watchword.Factors
	}{
		{"memory", func(testing.TB) watchword.Factors { return &memory.Factors{} }},
		{"sqlite", openSQLite},
		{"postgres", openPostgres},
	} {
		t.Run(store.name, func(t *testing.T) {
			factors := store.open(t)
			for name, run := range map[string]func(*testing.T, *kit){
				"approves": testDeviceApproves, "tabs": testParallelTabs, "lost-reply": testLostReply, "stolen": testStolenCopy, "nodes": testTwoNodes,
				"refusals": testRefusals, "removal": testRemoval, "earner": testEarner, "cap": testCap, "authority": testNoAuthority, "listing": testListing,
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

// changeEnd returns a secret text with other last characters.
func changeEnd(text string) string {
	kept := text[:len(text)-2]
	if strings.HasSuffix(text, "AA") {
		return kept + "QQ"
	}
	return kept + "AA"
}
