package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/watchword-auth/watchword"
)

const eventsSecret = "whsec_Wk0k6eKK29JxVqMVKTdvHDMOAjlrAo0Y"

// An eventReceiver is an event endpoint. It accepts what the Standard Webhooks library verifies.
type eventReceiver struct {
	*httptest.Server
	mu     sync.Mutex
	types  map[string][]object // the data of each event
	bodies []string
}

func newEventReceiver(t *testing.T) *eventReceiver {
	l := &eventReceiver{types: map[string][]object{}}
	verifier, err := standardwebhooks.NewWebhook(eventsSecret)
	if err != nil {
		t.Fatal(err)
	}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := verifier.Verify(body, r.Header); err != nil {
			t.Errorf("the Standard Webhooks library refuses an event: %v", err)
		}
		var event struct {
			Type string
			Data object
		}
		if err := json.Unmarshal(body, &event); err != nil {
			t.Error(err)
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.types[event.Type] = append(l.types[event.Type], event.Data)
		l.bodies = append(l.bodies, string(body))
	}))
	t.Cleanup(l.Close)
	return l
}

func (l *eventReceiver) settings(types ...string) eventsSettings {
	return eventsSettings{watchword.NewCode(l.URL + "/?secret=" + eventsSecret), types}
}

// eventsOf returns the data of the events of a type about a challenge. An empty id matches all.
func (l *eventReceiver) eventsOf(kind, challenge string) (found []object) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, data := range l.types[kind] {
		if challenge == "" || data["challenge_id"] == challenge {
			found = append(found, data)
		}
	}
	return found
}

// received returns the types and bodies of the events so far.
func (l *eventReceiver) received() (types, bodies []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.types)), slices.Clone(l.bodies)
}

func (l *eventReceiver) waitForEvent(t *testing.T, kind, challenge string) object {
	t.Helper()
	waitFor(t, "received", func() string {
		if len(l.eventsOf(kind, challenge)) > 0 {
			return "received"
		}
		return "no event " + kind
	})
	return l.eventsOf(kind, challenge)[0]
}

// Each endpoint gets the events that it subscribes to. They contain no secret and no address.
func TestEventsReachSubscribedEndpointsWithoutSecrets(t *testing.T) {
	all, approvals := newEventReceiver(t), newEventReceiver(t)
	hold := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	t.Cleanup(slow.Close)
	n := startInProcess(t, func(s *settings) {
		s.apps[0].events = []eventsSettings{{watchword.NewCode(slow.URL + "/?secret=" + eventsSecret), nil}, all.settings(),
			approvals.settings("challenge.approved", "factor.*")}
	})
	t.Cleanup(func() { close(hold) }) // before the server shuts down; cleanups run in reverse order

	good := n.start(func(o object) { o["metadata"] = object{"order": "17"} })
	id, code := good.str("id"), n.waitForCode(good.str("id"))
	if r := n.check(id, wrongCode(code)); r.errorCode() != "incorrect_answer" {
		t.Fatal(r.text)
	}
	if r := n.check(id, code); r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	locked, canceled := n.startRefusedChallenges()
	enrolled := n.enrolRecoveryCodes()

	for kind, challenge := range map[string]string{watchword.EventStarted: id, watchword.EventMessageSent: id, watchword.EventFailed: id,
		watchword.EventLocked: locked, watchword.EventCanceled: canceled, watchword.EventFactorEnrolled: enrolled, watchword.EventLimitReached: ""} {
		data := all.waitForEvent(t, kind, challenge)
		if data["app"] != devApp {
			t.Errorf("%s: %v", kind, data)
		}
	}
	data := all.waitForEvent(t, watchword.EventApproved, id)
	want := object{"app": devApp, "challenge_id": id, "strategy": "otp", "purpose": "sign_in", "subject": "user_42", "channel": "email", "metadata": object{"order": "17"}}
	if fmt.Sprint(data) != fmt.Sprint(want) {
		t.Errorf("approved: %v, want %v", data, want)
	}
	approvals.waitForEvent(t, watchword.EventApproved, id)
	if f := approvals.waitForEvent(t, watchword.EventFactorEnrolled, enrolled)["factor"]; f == nil {
		t.Error("the enrolment names no factor")
	}
	types, _ := approvals.received()
	for _, kind := range types {
		if kind != watchword.EventApproved && !strings.HasPrefix(kind, "factor.") {
			t.Errorf("%s was sent to an endpoint that did not subscribe to it", kind)
		}
	}
	_, bodies := all.received()
	everything := strings.Join(bodies, "\n") + n.log.String()
	for _, secret := range []string{`"` + code + `"`, "alice@", "bob@", good.str("handle"), "whsec_", "/?secret"} {
		if strings.Contains(everything, secret) {
			t.Errorf("%q is in an event or in the log", secret)
		}
	}
}

// startRefusedChallenges starts a challenge that is locked and one that is canceled, and starts until a limit is reached.
func (n *node) startRefusedChallenges() (locked, canceled string) {
	n.t.Helper()
	locked = n.start(func(o object) { o["to"] = "bob@example.com" }).str("id")
	wrong := wrongCode(n.waitForCode(locked))
	for range 5 {
		n.check(locked, wrong)
	}
	canceled = n.start(func(o object) { o["to"] = "carol@example.com" }).str("id")
	n.call("POST", "/v1/challenges/"+canceled+"/cancel", object{})
	for range 5 {
		n.start(func(o object) { o["to"] = "dave@example.com" })
	}
	r := n.call("POST", "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "dave@example.com"})
	if r.errorCode() != "rate_limited" {
		n.t.Fatal(r.text)
	}
	return locked, canceled
}

// enrolRecoveryCodes enrols recovery codes, and returns the challenge's id.
func (n *node) enrolRecoveryCodes() string {
	n.t.Helper()
	r := n.call("POST", "/v1/challenges", object{"strategy": "recovery", "purpose": "enrol", "subject": "user_42"})
	codes, _ := r.body["public"].(object)["codes"].([]any)
	if r.status != http.StatusCreated || len(codes) == 0 {
		n.t.Fatal(r.text)
	}
	done := n.call("POST", "/v1/challenges/"+r.str("id")+"/check", object{"purpose": "enrol", "subject": "user_42", "answer": codes[0]})
	if done.status != http.StatusOK {
		n.t.Fatal(done.text)
	}
	return r.str("id")
}

// Events that are not delivered yet when the server shuts down are delivered first.
func TestPendingEventsAreDeliveredAtShutdown(t *testing.T) {
	l := newEventReceiver(t)
	var id string
	t.Run("serve", func(t *testing.T) {
		n := startInProcess(t, func(s *settings) { s.apps[0].events = []eventsSettings{l.settings()} })
		id = n.start().str("id")
	})
	for _, kind := range []string{watchword.EventStarted, watchword.EventMessageSent} {
		if len(l.eventsOf(kind, id)) != 1 {
			t.Errorf("%s was delivered %d times", kind, len(l.eventsOf(kind, id)))
		}
	}
}

// A taskFunc is a backgroundTask.
type taskFunc func(ctx context.Context) error

func (f taskFunc) Run(ctx context.Context) error { return f(ctx) }

// The outcome of the last messages is an event too, so workers end first.
func TestShutdownEndsWorkersBeforeEventPublishers(t *testing.T) {
	var ended []string
	ending := func(what string) []backgroundTask {
		return []backgroundTask{taskFunc(func(ctx context.Context) error {
			<-ctx.Done()
			ended = append(ended, what)
			return nil
		})}
	}
	tasks := newServiceTasks(slog.New(slog.DiscardHandler))
	tasks.start(&service{workers: ending("workers"), eventPublishers: ending("publishers")})
	tasks.stop()
	if !slices.Equal(ended, []string{"workers", "publishers"}) {
		t.Errorf("ended %v", ended)
	}
}
