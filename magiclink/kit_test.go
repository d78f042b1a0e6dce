package magiclink_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/store/memory"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

const (
	issuer  = "https://verify.example.com"
	ada     = "ada@example.com"
	purpose = "sign_in"
)

// outbox records the messages that would be sent.
type outbox struct {
	watchword.Outbox
	all []watchword.Outgoing
}

func (o *outbox) Put(_ context.Context, out ...watchword.Outgoing) error {
	o.all = append(o.all, out...)
	return nil
}

// A testEngine is an engine with the strategy, a clock that the test sets, and the recorded messages and events.
type testEngine struct {
	*watchword.Engine
	t      testing.TB
	outbox *outbox
	store  watchword.Store
	now    time.Time
	events []string
}

func newTestEngine(t testing.TB, cfg magiclink.Config, change ...func(*watchword.Config)) *testEngine {
	t.Helper()
	r := &testEngine{t: t, outbox: &outbox{}, now: noon}
	clock := func() time.Time { return r.now }
	links, err := magiclink.New(cfg)
	must(t, err)
	engine := watchword.Config{App: "shop", Issuer: issuer, Keys: []watchword.Key{key(t, "k")}, Identity: key(t, "i"),
		Store: memory.New(memory.Config{Clock: clock}), Outbox: r.outbox, Strategies: []watchword.Strategy{links},
		Channels: []string{"email", "sms", "voice"}, Clock: clock, Events: func(_ context.Context, e watchword.Event) { r.events = append(r.events, e.Type) },
		Addresses: func(_, to string) (watchword.Address, error) { return watchword.Address{Value: to}, nil }}
	for _, c := range change {
		c(&engine)
	}
	r.store = engine.Store
	r.Engine, err = watchword.New(engine)
	must(t, err)
	return r
}

func key(t testing.TB, id string) watchword.Key {
	t.Helper()
	k, err := watchword.NewKey(id, bytes.Repeat([]byte(id), 32))
	must(t, err)
	return k
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A sentChallenge is a challenge with the secrets in its message and on its starting screen.
type sentChallenge struct {
	*watchword.Started
	token, code, number string
}

func (r *testEngine) start(change ...func(*watchword.StartRequest)) sentChallenge {
	r.t.Helper()
	req := watchword.StartRequest{Strategy: "magiclink", Purpose: purpose, To: ada}
	for _, c := range change {
		c(&req)
	}
	s, err := r.Start(r.t.Context(), req)
	must(r.t, err)
	out := r.read(s.ID)
	out.Started = s
	out.number, _ = s.Public["number"].(string)
	return out
}

// read returns the secrets in the latest message of a challenge.
func (r *testEngine) read(id string) sentChallenge {
	r.t.Helper()
	for n := len(r.outbox.all) - 1; n >= 0; n-- {
		if r.outbox.all[n].ChallengeID != id {
			continue
		}
		m, err := r.ComposeMessage(r.t.Context(), r.outbox.all[n])
		must(r.t, err)
		link, token, ok := strings.Cut(m.Link.Reveal(), "#")
		if !ok || link != issuer+"/l/"+id {
			r.t.Fatalf("the link is %q", m.Link.Reveal())
		}
		return sentChallenge{token: token, code: m.Code.Reveal()}
	}
	r.t.Fatalf("no message for %s", id)
	return sentChallenge{}
}

func (r *testEngine) status(id string) watchword.View {
	r.t.Helper()
	v, err := r.Status(r.t.Context(), id)
	must(r.t, err)
	return v
}

func (r *testEngine) answer(id string, a watchword.Answer) error {
	return r.Answer(r.t.Context(), id, a, watchword.Client{})
}

// check checks an answer as the app's backend.
func (r *testEngine) check(id, text string) (*watchword.Result, error) {
	return r.Check(r.t.Context(), id, watchword.CheckRequest{Purpose: purpose, To: ada, Answer: watchword.Answer{Text: text}})
}

// wrong returns another text of the same form.
func wrong(digits string) string { return string((digits[0]-'0'+1)%10+'0') + digits[1:] }

func wantError(t testing.TB, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// changeEnd returns a secret text with other last characters.
func changeEnd(text string) string {
	kept := text[:len(text)-2]
	if strings.HasSuffix(text, "AA") {
		return kept + "QQ"
	}
	return kept + "AA"
}
