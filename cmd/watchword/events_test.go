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

// An eventReceiver is an app's endpoint of events. It takes what the Standard Webhooks library verifies.
type eventReceiver struct {
	*httptest.Server
	mu     sync.Mutex
	types  map[string][]object // the data of each event
	bodies []string
}

func newEventReceiver(t *testing.T) *eventReceiver {
	l := &eventReceiver{types: map[string][]object{}}
	oracle, err := standardwebhooks.NewWebhook(eventsSecret)
	if err != nil {
		t.Fatal(err)
	}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := oracle.Verify(body, r.Header); err != nil {
			t.Errorf("the library refuses an event: %v", err)
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

// eventsOf returns the data of the events of a type about a challenge; an empty id is any.
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

// received is the events' types and bodies so far.
func (l *eventReceiver) received() (types, bodies []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.types)), slices.Clone(l.bodies)
}

func (l *eventReceiver) waitForEvent(t *testing.T, kind, challenge string) object {
	t.Helper()
	waitFor(t, "told", func() string {
		if len(l.eventsOf(kind, challenge)) > 0 {
			return "told"
		}
		return "nothing of " + kind
	})
	return l.eventsOf(kind, challenge)[0]
}

// What happens on the way is told to the app's endpoints, each what it asked for, and holds no secret and no address.
func TestEventsReachSubscribedEndpointsWithoutSecrets(t *testing.T) {
	all, approvals := newEventReceiver(t), newEventReceiver(t)
	hold := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hold }))
	t.Cleanup(slow.Close)
	n := startInProcess(t, func(s *settings) {
		s.apps[0].events = []eventsSettings{{watchword.NewCode(slow.URL + "/?secret=" + eventsSecret), nil}, all.settings(),
			approvals.settings("challenge.approved", "factor.*")}
	})
	t.Cleanup(func() { close(hold) }) // before the house ends: cleanups run backwards

	good := n.start(func(o object) { o["metadata"] = object{"order": "17"} })
	id, code := good.str("id"), n.waitForCode(good.str("id"))
	if r := n.check(id, wrongCode(code)); r.errorCode() != "incorrect_answer" {
		t.Fatal(r.text)
	}
	if r := n.check(id, code); r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	locked := n.start(func(o object) { o["to"] = "bob@example.com" }).str("id")
	wrong := wrongCode(n.waitForCode(locked))
	for range 5 {
		n.check(locked, wrong)
	}
	canceled := n.start(func(o object) { o["to"] = "carol@example.com" }).str("id")
	n.call("POST", "/v1/challenges/"+canceled+"/cancel", object{})
	limited := func(o object) { o["to"] = "dave@example.com" }
	for range 5 {
		n.start(limited)
	}
	if r := n.call("POST", "/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": "dave@example.com"}); r.errorCode() != "rate_limited" {
		t.Fatal(r.text)
	}
	enrolled := n.enrolRecovery()

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
	asked, _ := approvals.received()
	for _, kind := range asked {
		if kind != watchword.EventApproved && !strings.HasPrefix(kind, "factor.") {
			t.Errorf("%s was told to whom did not ask for it", kind)
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

// enrolRecovery enrols recovery codes, and returns the challenge's id.
func (n *node) enrolRecovery() string {
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

// An app's events are told to its own endpoints, and what is on its way when the server ends is still told.
func TestPendingEventsAreDeliveredAtShutdown(t *testing.T) {
	l := newEventReceiver(t)
	var id string
	t.Run("serve", func(t *testing.T) {
		n := startInProcess(t, func(s *settings) { s.apps[0].events = []eventsSettings{l.settings()} })
		id = n.start().str("id")
	})
	for _, kind := range []string{watchword.EventStarted, watchword.EventMessageSent} {
		if len(l.eventsOf(kind, id)) != 1 {
			t.Errorf("%s was told %d times", kind, len(l.eventsOf(kind, id)))
		}
	}
}

// A runnerFunc is a runner.
type runnerFunc func(ctx context.Context) error

func (f runnerFunc) Run(ctx context.Context) error { return f(ctx) }

// What became of the last messages is an event too, so the messages come first.
func TestShutdownEndsWorkersBeforeEventPublishers(t *testing.T) {
	var ended []string
	ending := func(what string) []backgroundTask {
		return []backgroundTask{runnerFunc(func(ctx context.Context) error {
			<-ctx.Done()
			ended = append(ended, what)
			return nil
		})}
	}
	r := &serverProcess{log: slog.New(slog.DiscardHandler)}
	r.startBackgroundTasks(&service{workers: ending("sending"), eventPublishers: ending("telling")})()
	if !slices.Equal(ended, []string{"sending", "telling"}) {
		t.Errorf("ended %v", ended)
	}
}
