package enginetest_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/store/memory"
)

// kit is an engine with the components that a test observes.
type kit struct {
	*watchword.Engine
	t      testing.TB
	clock  *clock
	store  *controlledStore
	outbox *outbox
	events *events
	log    *bytes.Buffer
	config watchword.Config
}

// newKit returns an engine on store/memory. Each option changes its configuration first.
func newKit(t testing.TB, options ...func(*watchword.Config)) *kit {
	t.Helper()
	k := &kit{t: t, clock: &clock{now: time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}, outbox: &outbox{}, events: &events{}, log: &bytes.Buffer{}}
	k.store = &controlledStore{Store: memory.New(memory.Config{Clock: k.clock.Now})}
	codes, err := otp.New(otp.Config{Clock: k.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	k.config = watchword.Config{
		App: "shop", Name: "Shop", Issuer: "https://verify.example.com",
		Keys: []watchword.Key{newTestKey(t, "k1")}, Identity: newTestKey(t, "identity"),
		Store: k.store, Outbox: k.outbox, Factors: &memory.Factors{}, Addresses: testAddresses, Channels: []string{"sms", "voice", "email"}, ReturnOrigins: []string{"https://app.example.com"},
		Strategies: []watchword.Strategy{codes}, Clock: k.clock.Now, Events: k.events.add,
		Logger: slog.New(slog.NewJSONHandler(k.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, o := range options {
		o(&k.config)
	}
	if k.Engine, err = watchword.New(k.config); err != nil {
		t.Fatal(err)
	}
	return k
}

// newNode returns an engine of another node, or of another app, on the same store.
func (k *kit) newNode(options ...func(*watchword.Config)) *watchword.Engine {
	k.t.Helper()
	cfg := k.config
	for _, o := range options {
		o(&cfg)
	}
	e, err := watchword.New(cfg)
	if err != nil {
		k.t.Fatal(err)
	}
	return e
}

const (
	alice      = "alice@example.com"
	alicePhone = "+14155550123"
	subject    = "user_42"
)

func startByEmail() watchword.StartRequest {
	return watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: alice, Subject: subject}
}

// withPage gives a challenge a return URL, and so a hosted page.
func withPage(req watchword.StartRequest) watchword.StartRequest {
	req.ReturnURL = returnURL
	return req
}

const returnURL = "https://app.example.com/done?tab=1"

func (k *kit) start(req watchword.StartRequest) *watchword.Started {
	k.t.Helper()
	s, err := k.Start(context.Background(), req)
	if err != nil {
		k.t.Fatalf("start: %v", err)
	}
	return s
}

// code returns the code of a challenge's last message.
func (k *kit) code(id string) string {
	k.t.Helper()
	m, err := k.ComposeMessage(context.Background(), k.outbox.last(id))
	if err != nil {
		k.t.Fatalf("compose: %v", err)
	}
	return m.Code.Reveal()
}

func (k *kit) check(id, answer string, change ...func(*watchword.CheckRequest)) (*watchword.Result, error) {
	return check(k.Engine, id, answer, change...)
}

func check(e *watchword.Engine, id, answer string, change ...func(*watchword.CheckRequest)) (*watchword.Result, error) {
	req := watchword.CheckRequest{Purpose: "sign_in", Subject: subject, Answer: watchword.Answer{Text: answer}}
	for _, c := range change {
		c(&req)
	}
	return e.Check(context.Background(), id, req)
}

// wrongCode returns a well-formed code that differs from the given one.
func wrongCode(right string) string {
	last := right[len(right)-1]
	return right[:len(right)-1] + string('0'+(last-'0'+1)%10)
}

func (k *kit) requireCode(err error, want *watchword.Error) *watchword.Error {
	k.t.Helper()
	var got *watchword.Error
	if !errors.As(err, &got) || got.Code != want.Code {
		k.t.Fatalf("got %v, want %s", err, want.Code)
	}
	return got
}

func (k *kit) answerWrong(id string) error {
	k.t.Helper()
	_, err := k.check(id, wrongCode(k.code(id)))
	if err == nil {
		k.t.Fatal("a wrong code was approved")
	}
	return err
}

func newTestKey(t testing.TB, id string) watchword.Key {
	t.Helper()
	seed := [32]byte{}
	copy(seed[:], id)
	secret := make([]byte, 32)
	r := rand.NewChaCha8(seed)
	for i := 0; i < len(secret); i += 8 {
		binary.LittleEndian.PutUint64(secret[i:], r.Uint64())
	}
	k, err := watchword.NewKey(id, secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// testAddresses is a small address policy: it lower-cases the domain of a mailbox, spellings of the local part share a key,
// and phone numbers stay unchanged.
func testAddresses(channel, address string) (watchword.Address, error) {
	mail := strings.Contains(address, "@")
	if channel != "" && mail != (channel == "email") {
		return watchword.Address{}, &watchword.Error{Code: "invalid_request", Fields: []watchword.FieldError{{Field: "to", Reason: "is no address of this channel"}}}
	}
	if mail {
		local, domain, _ := strings.Cut(address, "@")
		return watchword.Address{Value: local + "@" + strings.ToLower(domain), Key: strings.ToLower(address), Masked: "a•••@e•••.com", Kind: "email"}, nil
	}
	return watchword.Address{Value: address, Masked: "+1 ••• ••• ••23", Kind: "phone", Country: "US", Prefix: "+1415"}, nil
}

type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// outbox records the messages that are queued.
type outbox struct {
	watchword.Outbox
	mu  sync.Mutex
	all []watchword.Outgoing
	err error
}

func (o *outbox) Put(_ context.Context, out ...watchword.Outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all = append(o.all, out...)
	return o.err
}

// list returns the messages so far.
func (o *outbox) list() []watchword.Outgoing {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.all)
}

// setError makes Put return an error, and forgets the messages so far.
func (o *outbox) setError(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all, o.err = nil, err
}

func (o *outbox) ofChallenge(id string) (out []watchword.Outgoing) {
	for _, m := range o.list() {
		if m.ChallengeID == id {
			out = append(out, m)
		}
	}
	return out
}

func (o *outbox) last(id string) watchword.Outgoing {
	all := o.ofChallenge(id)
	if len(all) == 0 {
		return watchword.Outgoing{ChallengeID: id}
	}
	return all[len(all)-1]
}

type events struct {
	mu  sync.Mutex
	all []watchword.Event
}

func (e *events) add(_ context.Context, ev watchword.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// list returns the events so far. Tasks in the background add more, so tests read no event without the lock.
func (e *events) list() []watchword.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.all)
}

func (e *events) clear() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = nil
}

func (e *events) types() (out []string) {
	for _, ev := range e.list() {
		out = append(out, ev.Type)
	}
	return out
}

// runConcurrently runs n copies of f concurrently and counts the results by error code; "" is success.
func runConcurrently(n int, f func(i int) error) map[string]int {
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		gate  = make(chan struct{})
		count = map[string]int{}
	)
	for i := range n {
		wg.Go(func() {
			<-gate
			err := f(i)
			name := ""
			if err != nil {
				var known *watchword.Error
				if name = fmt.Sprint(err); errors.As(err, &known) {
					name = known.Code
				}
			}
			mu.Lock()
			defer mu.Unlock()
			count[name]++
		})
	}
	close(gate)
	wg.Wait()
	return count
}

// repeatInFlight calls f and, like a caller, repeats what is refused because tries are in flight: on a busy machine they may take longer
// than the engine waits for them.
func repeatInFlight(f func() error) error {
	for {
		if err := f(); !errors.Is(err, watchword.ErrInFlight) {
			return err
		}
	}
}

// withFixedCode configures a test identity, so that every code is known.
func withFixedCode(t *testing.T) func(*watchword.Config) {
	return func(c *watchword.Config) {
		codes, err := otp.New(otp.Config{Clock: c.Clock, TestAddresses: []otp.TestIdentity{
			{Address: alice, Code: "000000", Purposes: []string{"sign_in"}, Until: c.Clock().Add(24 * time.Hour)}}})
		if err != nil {
			t.Fatal(err)
		}
		c.Strategies = []watchword.Strategy{codes}
	}
}
