package testaddress_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/magiclink"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/testaddress"
)

func TestFindKnowsTestAddresses(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]testaddress.Persona{
		"+14155550100": testaddress.Ordinary, "+12125550195": testaddress.Ordinary, "+12125550196": testaddress.Undeliverable, "+14165550197": testaddress.Slow,
		"+19075550198": testaddress.Locked, "+14155550199": testaddress.Expired, "ann+test@example.com": testaddress.Ordinary, "a+b+test@example.com": testaddress.Ordinary,
		"undeliverable+test@example.com": testaddress.Undeliverable, "SLOW+Test@example.com": testaddress.Slow, "locked.17+test@example.com": testaddress.Locked,
		"expired.a.b+test@example.com": testaddress.Expired, "lockedout+test@example.com": testaddress.Ordinary,
		// Everybody else's addresses.
		"+14155550099": "", "+14155550200": "", "+141555501000": "", "+1415555010": "", "+441155550100": "", "+11555550100": "", "14155550100": "", "x+14155550100": "",
		"ann@example.com": "", "+test@example.com": "", "ann+test@example.org": "", "ann+test@example.com.evil.org": "", "ann+test@sub.example.com": "",
		"ann+testing@example.com": "", "ann+test@examplescom": "", "ann+test@example.com\n": "", "locked@example.com": "", "": "",
	} {
		if got, ok := testaddress.Find(address); got != want || ok != (want != "") {
			t.Errorf("%q: %q %t, want %q", address, got, ok, want)
		}
	}
}

// A testEngine is a real engine with codes and links, whose messages stay in an outbox.
type testEngine struct {
	*watchword.Engine
	queue  *delivery.Queue
	mu     sync.Mutex
	events []string
}

func config(t *testing.T, strategies ...watchword.Strategy) watchword.Config {
	t.Helper()
	ring, err := watchword.NewKey("1", bytes.Repeat([]byte{1}, 32))
	must(t, err)
	identity, err := watchword.NewKey("identity", bytes.Repeat([]byte{2}, 32))
	must(t, err)
	addresses, err := delivery.NewAddressPolicy(delivery.Addresses{})
	must(t, err)
	return watchword.Config{App: "shop", Issuer: "https://verify.example.com", Keys: []watchword.Key{ring}, Identity: identity, Store: memory.New(memory.Config{}),
		Strategies: strategies, Addresses: addresses, Channels: []string{"sms", "email"}, Outbox: delivery.NewQueue(100, nil)}
}

func strategies(t *testing.T) []watchword.Strategy {
	t.Helper()
	codes, err := otp.New(otp.Config{})
	must(t, err)
	links, err := magiclink.New(magiclink.Config{})
	must(t, err)
	var wrapped []watchword.Strategy
	for _, s := range []watchword.Matcher{codes, links} {
		w, err := testaddress.WrapStrategy(s)
		must(t, err)
		wrapped = append(wrapped, w)
	}
	return wrapped
}

func newTestEngine(t *testing.T) *testEngine {
	t.Helper()
	e := &testEngine{queue: delivery.NewQueue(100, nil)}
	cfg := config(t, strategies(t)...)
	cfg.Development, cfg.Outbox = true, e.queue
	cfg.Events = func(_ context.Context, ev watchword.Event) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.events = append(e.events, ev.Type)
	}
	var err error
	e.Engine, err = watchword.New(cfg)
	must(t, err)
	return e
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (e *testEngine) takeEvents() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := strings.Join(e.events, " ")
	e.events = nil
	return all
}

// start starts a challenge and returns it with its message.
func (e *testEngine) start(t *testing.T, strategy, to string) (*watchword.Started, watchword.Message) {
	t.Helper()
	channel := "sms"
	if strings.Contains(to, "@") {
		channel = "email"
	}
	started, err := e.Start(t.Context(), watchword.StartRequest{Strategy: strategy, Purpose: "sign_in", Channel: channel, To: to})
	must(t, err)
	out, err := e.queue.Claim(t.Context(), 1)
	must(t, err)
	m, err := e.ComposeMessage(t.Context(), out[0])
	must(t, err)
	return started, m
}

func (e *testEngine) check(t *testing.T, id, to, answer string) error {
	_, err := e.Check(t.Context(), id, watchword.CheckRequest{Purpose: "sign_in", To: to, Answer: watchword.AnswerCode(answer)})
	return err
}

// A loggedStrategy is what apps and tools put around a strategy. It has the methods of a Matcher alone.
type loggedStrategy struct{ watchword.Matcher }

// An app that sets Development by mistake is the only one that can have test addresses, also behind another strategy.
func TestEngineRefusesTestAddressesOutsideDevelopment(t *testing.T) {
	t.Parallel()
	for _, s := range strategies(t) {
		for _, s := range []watchword.Strategy{s, loggedStrategy{s.(watchword.Matcher)}} {
			cfg := config(t, s)
			if _, err := watchword.New(cfg); err == nil || !strings.Contains(err.Error(), "for development only") {
				t.Errorf("%T %s: %v", s, s.Name(), err)
			}
			cfg.Development = true
			if _, err := watchword.New(cfg); err != nil {
				t.Errorf("%T %s: %v", s, s.Name(), err)
			}
		}
	}
}

func TestWrapStrategyRefusesCodesOfAnotherForm(t *testing.T) {
	t.Parallel()
	for _, cfg := range []otp.Config{{Length: 8}, {Letters: true}} {
		codes, err := otp.New(cfg)
		must(t, err)
		if _, err := testaddress.WrapStrategy(codes); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}

func TestPersonasAnswerTheCode(t *testing.T) {
	t.Parallel()
	e := newTestEngine(t)
	for _, c := range []struct {
		to     string
		want   error
		status watchword.Status
		events string
	}{
		{"ann+test@example.com", nil, watchword.Approved, "challenge.started challenge.failed challenge.approved"},
		{"undeliverable+test@example.com", nil, watchword.Approved, "challenge.started challenge.failed challenge.approved"},
		{"+14155550100", nil, watchword.Approved, "challenge.started challenge.failed challenge.approved"},
		{"locked+test@example.com", watchword.ErrAttemptsExhausted, watchword.Locked, "challenge.started challenge.failed challenge.locked"},
		{"+14155550198", watchword.ErrAttemptsExhausted, watchword.Locked, "challenge.started challenge.failed challenge.locked"},
		{"expired+test@example.com", watchword.ErrChallengeExpired, watchword.Expired, "challenge.started challenge.failed challenge.expired"},
		{"+14155550199", watchword.ErrChallengeExpired, watchword.Expired, "challenge.started challenge.failed challenge.expired"},
	} {
		for _, strategy := range []string{"otp", "magiclink"} {
			started, m := e.start(t, strategy, c.to)
			if m.Code.Reveal() != testaddress.Code || started.Status != watchword.Pending {
				t.Fatalf("%s, %s: %s, the message has another code", strategy, c.to, started.Status)
			}
			if err := e.check(t, started.ID, c.to, "424243"); !errors.Is(err, watchword.ErrIncorrectAnswer) {
				t.Errorf("%s, %s: a wrong code: %v", strategy, c.to, err)
			}
			for range 2 {
				err := e.check(t, started.ID, c.to, testaddress.Code)
				if want := c.want; !errors.Is(err, want) && (want != nil || !errors.Is(err, watchword.ErrChallengeApproved)) {
					t.Errorf("%s, %s: %v, want %v", strategy, c.to, err, want)
				}
			}
			if v, err := e.Status(t.Context(), started.ID); err != nil || v.Status != c.status {
				t.Errorf("%s, %s: %v %v, want %s", strategy, c.to, v.Status, err, c.status)
			}
			if got := e.takeEvents(); got != c.events {
				t.Errorf("%s, %s: events %s, want %s", strategy, c.to, got, c.events)
			}
		}
	}
}

// The link of a message is a secret as ever, and so are the code of other addresses and that of an unknown user's.
func TestLinksAndOtherAddressesHaveNoFixedAnswer(t *testing.T) {
	t.Parallel()
	e := newTestEngine(t)
	const ann = "ann+test@example.com"
	links := map[string]bool{}
	for range 3 {
		started, m := e.start(t, "magiclink", ann)
		_, token, _ := strings.Cut(m.Link.Reveal(), "#")
		links[token] = true
		number, _ := started.Public["number"].(string)
		if err := e.Answer(t.Context(), started.ID, watchword.Answer{Text: token, Number: number}, watchword.Client{}); err != nil {
			t.Errorf("the link is refused: %v", err)
		}
	}
	if len(links) != 3 {
		t.Errorf("%d different tokens", len(links))
	}
	for _, strategy := range []string{"otp", "magiclink"} {
		started, m := e.start(t, strategy, "bob@example.com")
		if code := m.Code.Reveal(); code != testaddress.Code { // one time in a million
			if err := e.check(t, started.ID, "bob@example.com", testaddress.Code); !errors.Is(err, watchword.ErrIncorrectAnswer) {
				t.Errorf("%s: %v", strategy, err)
			}
			must(t, e.check(t, started.ID, "bob@example.com", code))
		}
	}
	decoy, err := e.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: ann, Decoy: true})
	must(t, err)
	if err := e.check(t, decoy.ID, ann, testaddress.Code); !errors.Is(err, watchword.ErrIncorrectAnswer) {
		t.Errorf("a decoy: %v", err)
	}
}

// Of a verification, a persona ends one method: the others can still be answered.
func TestPersonaEndsItsMethodOnly(t *testing.T) {
	t.Parallel()
	e := newTestEngine(t)
	for to, want := range map[string]error{"locked+test@example.com": watchword.ErrAttemptsExhausted, "expired+test@example.com": watchword.ErrChallengeExpired} {
		s, err := e.StartVerification(t.Context(), watchword.VerificationRequest{Purpose: "sign_in", Subject: "user_1", Open: watchword.OpenFirst,
			Methods: []watchword.MethodRequest{{Strategy: "otp", Channel: "email", To: to}, {Strategy: "otp", Channel: "sms", To: "+14155550100"}}})
		must(t, err)
		check := watchword.VerificationCheck{CheckRequest: watchword.CheckRequest{Purpose: "sign_in", Subject: "user_1", Answer: watchword.AnswerCode(testaddress.Code)}}
		for range 2 {
			if _, err := e.CheckVerification(t.Context(), s.ID, check); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", to, err, want)
			}
		}
		check.Method = s.Methods[1].ID
		_, err = e.OpenMethod(t.Context(), s.ID, check.Method)
		must(t, err)
		if _, err := e.CheckVerification(t.Context(), s.ID, check); err != nil {
			t.Errorf("%s: the other method: %v", to, err)
		}
	}
}

func TestLinkOfPersonaEndsTheChallenge(t *testing.T) {
	t.Parallel()
	e := newTestEngine(t)
	for to, want := range map[string]error{"locked+test@example.com": watchword.ErrAttemptsExhausted, "expired+test@example.com": watchword.ErrChallengeExpired} {
		started, m := e.start(t, "magiclink", to)
		_, token, _ := strings.Cut(m.Link.Reveal(), "#")
		number, _ := started.Public["number"].(string)
		if err := e.Answer(t.Context(), started.ID, watchword.Answer{Text: token, Number: number}, watchword.Client{}); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", to, err, want)
		}
	}
}

// A list records to whom messages were sent.
type list struct {
	mu sync.Mutex
	to []string
}

func (l *list) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.to = append(l.to, m.To)
	return watchword.Sent{Provider: "list"}, nil
}

func TestSenderRefusesAndDelaysByPersona(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := &list{}
		sender := &testaddress.Sender{Next: next}
		all := []string{"bob@example.com", "ann+test@example.com", "+14155550100", "locked+test@example.com", "expired+test@example.com", "slow@example.com"}
		for _, to := range all {
			if _, err := sender.Send(t.Context(), watchword.Message{To: to, RequestedAt: time.Now()}); err != nil {
				t.Errorf("%s: %v", to, err)
			}
		}
		if !slices.Equal(next.to, all) {
			t.Errorf("sent to %v", next.to)
		}
		var failed *watchword.SendError
		slow := watchword.Message{To: "+14155550197", RequestedAt: time.Now()}
		for _, left := range []time.Duration{testaddress.Delay, time.Second} {
			time.Sleep(testaddress.Delay - time.Since(slow.RequestedAt) - left)
			if _, err := sender.Send(t.Context(), slow); !errors.As(err, &failed) || failed.Permanent || failed.RetryAfter != left {
				t.Errorf("slow: %v, %+v", err, failed)
			}
		}
		time.Sleep(time.Second)
		if _, err := sender.Send(t.Context(), slow); err != nil {
			t.Errorf("slow: %v", err)
		}
		_, err := sender.Send(t.Context(), watchword.Message{To: "undeliverable+test@example.com"})
		if !errors.As(err, &failed) || !failed.Permanent || failed.Fault != watchword.FaultRecipient || len(next.to) != len(all)+1 {
			t.Errorf("undeliverable: %v, sent to %v", err, next.to)
		}
	})
}

// A checkingList is a list that can send no message.
type checkingList struct{ list }

var errCannotSend = errors.New("cannot send this")

func (*checkingList) CheckMessage(watchword.Message) error { return errCannotSend }

func TestSenderLetsTheNextCheckMessages(t *testing.T) {
	t.Parallel()
	if err := (&testaddress.Sender{Next: &checkingList{}}).CheckMessage(watchword.Message{}); !errors.Is(err, errCannotSend) {
		t.Error(err)
	}
	if err := (&testaddress.Sender{Next: &list{}}).CheckMessage(watchword.Message{}); err != nil {
		t.Error(err)
	}
}

// The worker gives an undeliverable message up at once, and says so.
func TestUndeliverableMessageFails(t *testing.T) {
	t.Parallel()
	e := newTestEngine(t)
	worker, err := delivery.NewWorker(delivery.WorkerConfig{Engine: e.Engine, Outbox: e.queue, Sender: &testaddress.Sender{Next: &list{}}})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = worker.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	started, err := e.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "sms", To: "+14155550196"})
	must(t, err)
	var seen string
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(seen, watchword.EventMessageFailed); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("events: %s", seen)
		}
		seen += e.takeEvents()
	}
	if v, err := e.Status(t.Context(), started.ID); err != nil || v.Delivery.Status != watchword.DeliveryFailed {
		t.Errorf("%+v, %v", v.Delivery, err)
	}
}
