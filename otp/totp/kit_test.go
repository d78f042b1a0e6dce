package totp

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// A kit is an engine with both strategies and a clock that tests set.
type kit struct {
	*watchword.Engine
	t      testing.TB
	config watchword.Config
	totp   *Strategy
	hotp   *HOTP

	mu     sync.Mutex
	now    time.Time
	events []string
}

type option func(*Config, *watchword.Config)

func newKit(t testing.TB, options ...option) *kit {
	t.Helper()
	k := &kit{t: t, now: time.Date(2026, 5, 4, 12, 0, 10, 0, time.UTC)}
	settings := Config{Issuer: "AT&T: Ünï"}
	k.config = watchword.Config{App: "shop", Issuer: "https://verify.example.com", Factors: &memory.Factors{},
		Keys: []watchword.Key{testKey(t, "k1")}, Identity: testKey(t, "identity"), Clock: k.time, NoBudget: true}
	k.config.Events = func(_ context.Context, e watchword.Event) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.events = append(k.events, e.Type)
	}
	k.config.Store = memory.New(memory.Config{Clock: k.time})
	for _, o := range options {
		o(&settings, &k.config)
	}
	var err error
	if k.totp, err = New(settings); err != nil {
		t.Fatal(err)
	}
	if k.hotp, err = NewHOTP(HOTPConfig{Issuer: settings.Issuer}); err != nil {
		t.Fatal(err)
	}
	k.config.Strategies = []watchword.Strategy{k.totp, k.hotp}
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

// start starts a challenge, or ends the test.
func (k *kit) start(r watchword.StartRequest) *watchword.Started {
	k.t.Helper()
	r.Authority.Admin = true
	s, err := k.Start(context.Background(), r)
	if err != nil {
		k.t.Fatalf("start %s: %v", r.Strategy, err)
	}
	return s
}

// startChallenge begins a challenge to sign in.
func (k *kit) startChallenge(strategy, subject string) string {
	k.t.Helper()
	return k.start(watchword.StartRequest{Strategy: strategy, Purpose: "sign_in", Subject: subject}).ID
}

func (k *kit) answer(id, subject, purpose, code string) (*watchword.Result, error) {
	return k.Check(context.Background(), id, watchword.CheckRequest{Purpose: purpose, Subject: subject, Answer: watchword.Answer{Text: code}})
}

// checkCode answers a fresh challenge to sign in.
func (k *kit) checkCode(strategy, subject, code string) error {
	k.t.Helper()
	_, err := k.answer(k.startChallenge(strategy, subject), subject, "sign_in", code)
	return err
}

// A device is an independent implementation of the codes.
type device struct {
	secret      string // base32
	algorithm   Algorithm
	digits      int
	period      time.Duration
	clockOffset time.Duration // of its clock
	id          string
}

// enrol enrols a device with its present code.
func (k *kit) enrol(strategy, subject string) *device {
	k.t.Helper()
	s := k.start(watchword.StartRequest{Strategy: strategy, Purpose: watchword.PurposeEnrol, Subject: subject})
	d := &device{secret: s.Public["secret"].(string), algorithm: SHA1, digits: 6, period: 30 * time.Second}
	code := d.codeAt(k.time())
	if strategy == "hotp" {
		code = d.codeOfCounter(0)
	}
	r, err := k.answer(s.ID, subject, watchword.PurposeEnrol, code)
	if err != nil {
		k.t.Fatalf("enrol %s: %v", strategy, err)
	}
	d.id = r.Factor.ID
	return d
}

// vectors reads the test vectors, which are not part of this repository.
func vectors(t *testing.T) (v struct {
	HOTP struct {
		Secret string `json:"secret_ascii"`
		Digits int
		Codes  []string
	}
	TOTP struct {
		Digits int
		Period int64
		Secret map[Algorithm]string `json:"secret_ascii"`
		Cases  []map[string]any
	}
}) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", "..", "shared", "vectors", "otp.json"))
	if err != nil {
		t.Skip("the RFC vectors are not here (../shared/vectors/otp.json beside the repository)")
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
