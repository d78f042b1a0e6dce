package otp_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed"
	"github.com/watchword-auth/watchword/internal/typed/typedtest"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/store/memory"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// outbox records the messages that would be sent.
type outbox struct {
	watchword.Outbox
	all []watchword.Outgoing
}

func (o *outbox) Put(_ context.Context, out ...watchword.Outgoing) error {
	o.all = append(o.all, out...)
	return nil
}

type testEngine struct {
	*watchword.Engine
	cfg    watchword.Config
	outbox *outbox
	now    time.Time
}

func newTestEngine(t testing.TB, cfg otp.Config) *testEngine {
	t.Helper()
	r := &testEngine{outbox: &outbox{}, now: noon}
	clock := func() time.Time { return r.now }
	cfg.Clock = clock
	codes, err := otp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	key := func(id string) watchword.Key {
		k, err := watchword.NewKey(id, bytes.Repeat([]byte(id), 32))
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	r.cfg = watchword.Config{App: "shop", Issuer: "https://verify.example.com", Keys: []watchword.Key{key("k")}, Identity: key("i"),
		Store: memory.New(memory.Config{Clock: clock}), Outbox: r.outbox, Strategies: []watchword.Strategy{codes}, Channels: []string{"sms", "voice", "email"},
		Addresses: func(_, to string) (watchword.Address, error) { return watchword.Address{Value: to}, nil }, Clock: clock}
	r.Engine, err = watchword.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// send starts a challenge and returns its id and the code in its message.
func (r *testEngine) send(t testing.TB, channel, to, purpose string) (id, code string, err error) {
	t.Helper()
	s, err := r.Start(context.Background(), watchword.StartRequest{Strategy: "otp", Purpose: purpose, Channel: channel, To: to})
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.ComposeMessage(context.Background(), r.outbox.all[len(r.outbox.all)-1])
	return s.ID, m.Code.Reveal(), err
}

func (r *testEngine) check(id, to, purpose, answer string) (*watchword.Result, error) {
	return r.Check(context.Background(), id, watchword.CheckRequest{Purpose: purpose, To: to, Answer: watchword.Answer{Text: answer}})
}

func TestCheckAcceptsSentCodeOnceInAnySpelling(t *testing.T) {
	for _, cfg := range []otp.Config{{}, {Length: 8}, {Length: 10}, {Letters: true}, {Letters: true, Length: 8}} {
		r := newTestEngine(t, cfg)
		for n := range typedtest.SpellingCount {
			id, code, err := r.send(t, "sms", "+14155550123", "sign_in")
			if err != nil {
				t.Fatal(err)
			}
			spelled := typedtest.Spellings(code)
			if _, err := r.check(id, "+14155550123", "sign_in", spelled[n]); err != nil {
				t.Errorf("%+v, %+q: %v", cfg, spelled[n], err)
			}
			if _, err := r.check(id, "+14155550123", "sign_in", spelled[(n+1)%len(spelled)]); !errors.Is(err, watchword.ErrChallengeApproved) {
				t.Errorf("%+v, %+q again: %v", cfg, spelled[n], err)
			}
		}
	}
}

func TestCheckOfMalformedCodeCostsNoTry(t *testing.T) {
	for _, cfg := range []otp.Config{{}, {Length: 8}, {Letters: true}} {
		r := newTestEngine(t, cfg)
		id, code, err := r.send(t, "sms", "+14155550123", "sign_in")
		if err != nil {
			t.Fatal(err)
		}
		shape := typed.Shape{Alphabet: typed.Digits, Min: len(code), Max: len(code)}
		if cfg.Letters {
			shape.Alphabet = otp.Unambiguous
		}
		for _, text := range append(typedtest.NotCodes(shape, code), "") {
			if _, err := r.check(id, "+14155550123", "sign_in", text); !errors.Is(err, watchword.ErrInvalidRequest) {
				t.Errorf("%+v, %+q: %v", cfg, text, err)
			}
		}
		if v, err := r.Status(t.Context(), id); err != nil || v.TriesLeft != 5 {
			t.Errorf("%+v: %d tries left, %v", cfg, v.TriesLeft, err)
		}
		if _, err := r.check(id, "+14155550123", "sign_in", code); err != nil {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// Spaces, hyphens and case do not change the candidate.
func TestCandidatesReturnsOneFormOfEachCode(t *testing.T) {
	s, err := otp.New(otp.Config{Letters: true})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		code := rapid.StringOfN(rapid.SampledFrom([]rune(otp.Unambiguous)), 6, 6, -1).Draw(t, "code")
		typed := ""
		for _, r := range code {
			typed += rapid.SampledFrom([]string{"", " ", "-", " -"}).Draw(t, "gap")
			typed += rapid.SampledFrom([]string{string(r), strings.ToLower(string(r))}).Draw(t, "case")
		}
		got := s.Candidates(watchword.Answer{Text: typed})
		if len(got) != 1 || got[0].Text != code || got[0].LocksChallenge {
			t.Fatalf("%q means %v", typed, got)
		}
	})
}

func FuzzCandidates(f *testing.F) {
	s, err := otp.New(otp.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("123 456")
	f.Fuzz(func(t *testing.T, answer string) {
		for _, c := range s.Candidates(watchword.Answer{Text: answer}) {
			if len(c.Text) != 6 || strings.Trim(c.Text, "0123456789") != "" {
				t.Fatalf("%q means %q", answer, c.Text)
			}
		}
	})
}

// The frequency of each digit at each position is within five standard deviations. Leading zeros are kept.
func TestDerivedCodesAreUniform(t *testing.T) {
	r := newTestEngine(t, otp.Config{})
	const n = 5000
	var count [6][10]int
	for range n {
		_, code, err := r.send(t, "email", "alice@example.com", "sign_in")
		if err != nil || len(code) != 6 {
			t.Fatalf("%q %v", code, err)
		}
		for place, d := range []byte(code) {
			count[place][d-'0']++
		}
	}
	for place := range count {
		for digit, times := range count[place] {
			if times < 500-110 || times > 500+110 {
				t.Errorf("digit %d at place %d: %d of %d", digit, place, times, n)
			}
		}
	}
}

func TestAMRNamesTheChannelThatWasUsed(t *testing.T) {
	r := newTestEngine(t, otp.Config{})
	for channel, want := range map[string]string{"sms": "otp sms", "voice": "otp tel", "email": "otp"} {
		id, code, err := r.send(t, channel, "x", "sign_in")
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.check(id, "x", "sign_in", code)
		if err != nil || strings.Join(got.Claims.AMR, " ") != want {
			t.Errorf("%s: %v %v", channel, got, err)
		}
	}
}

func TestTestIdentityAnswersWithFixedCodeAndIsSentNothing(t *testing.T) {
	var log bytes.Buffer
	r := newTestEngine(t, otp.Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), TestAddresses: []otp.TestIdentity{
		{Address: "review@example.com", Code: "000000", Purposes: []string{"sign_in"}, Until: noon.Add(24 * time.Hour)}}})
	id, _, err := r.send(t, "email", "review@example.com", "sign_in")
	if !errors.Is(err, watchword.ErrClosed) {
		t.Fatalf("a test identity was sent something: %v", err)
	}
	if _, err := r.check(id, "review@example.com", "sign_in", "000 000"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "test identity used") || strings.Contains(log.String(), "000000") || strings.Contains(log.String(), "review@") {
		t.Errorf("the log contains: %s", log.String())
	}
	for _, c := range [][2]string{{"review@example.com", "mfa"}, {"Review@example.com", "sign_in"}, {"bob@example.com", "sign_in"}} {
		id, code, err := r.send(t, "email", c[0], c[1])
		if err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if code == "000000" {
			continue // one time in a million
		}
		if _, err := r.check(id, c[0], c[1], "000000"); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Errorf("%v: %v", c, err)
		}
	}
	r.now = noon.Add(25 * time.Hour)
	if _, _, err := r.send(t, "email", "review@example.com", "sign_in"); err != nil {
		t.Errorf("nothing is sent to an expired test identity: %v", err)
	}
}

func TestNewRefusesInvalidSettings(t *testing.T) {
	good := otp.TestIdentity{Address: "a@example.com", Code: "123456", Purposes: []string{"sign_in"}, Until: noon.Add(time.Hour)}
	for name, change := range map[string]func(*otp.Config, *otp.TestIdentity){
		"five digits":   func(c *otp.Config, _ *otp.TestIdentity) { c.Length = 5 },
		"eleven digits": func(c *otp.Config, _ *otp.TestIdentity) { c.Length = 11 },
		"no address":    func(_ *otp.Config, t *otp.TestIdentity) { t.Address = "" },
		"short code":    func(_ *otp.Config, t *otp.TestIdentity) { t.Code = "12345" },
		"spaced code":   func(_ *otp.Config, t *otp.TestIdentity) { t.Code = "123 456" },
		"no purposes":   func(_ *otp.Config, t *otp.TestIdentity) { t.Purposes = nil },
		"no end":        func(_ *otp.Config, t *otp.TestIdentity) { t.Until = time.Time{} },
		"far end":       func(_ *otp.Config, t *otp.TestIdentity) { t.Until = noon.Add(91 * 24 * time.Hour) },
	} {
		id := good
		cfg := otp.Config{Clock: func() time.Time { return noon }}
		change(&cfg, &id)
		cfg.TestAddresses = []otp.TestIdentity{id}
		if _, err := otp.New(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

// The refusal depends on the id and the settings only, so it reveals nothing about the challenge.
func TestCheckRefusesMalformedCodeBeforeReadingTheStore(t *testing.T) {
	r := newTestEngine(t, otp.Config{})
	id, _, err := r.send(t, "sms", "+14155550123", "sign_in")
	if err != nil {
		t.Fatal(err)
	}
	r.cfg.Store = failingStore{}
	e, err := watchword.New(r.cfg)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]error{"12345": watchword.ErrInvalidRequest, "123456": watchword.ErrUnavailable} {
		req := watchword.CheckRequest{Purpose: "sign_in", To: "+14155550123", Answer: watchword.Answer{Text: text}}
		if _, err := e.Check(t.Context(), id, req); !errors.Is(err, want) {
			t.Errorf("check of %q: %v, want %v", text, err, want)
		}
		if err := e.Answer(t.Context(), id, req.Answer, watchword.Client{}); !errors.Is(err, want) {
			t.Errorf("answer %q: %v, want %v", text, err, want)
		}
	}
}

// failingStore is a store whose Get and Attempt fail.
type failingStore struct{ watchword.Store }

func (failingStore) Get(context.Context, string) (watchword.Entry, error) {
	return watchword.Entry{}, errors.New("unavailable")
}

func (failingStore) Attempt(context.Context, string, []watchword.Guess, watchword.Budget) (watchword.Entry, error) {
	return watchword.Entry{}, errors.New("unavailable")
}
