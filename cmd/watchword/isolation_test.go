package main

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
)

const hostileApps = 12

// A quietApp is an app whose people sign in while other apps misbehave.
type quietApp struct {
	node    *node
	codes   *codeReceiver
	repeats int // how often its backend repeats a request that is answered 503, with the same idempotency key

	took func(time.Duration) // gets the duration of each request; nil: not measured
}

func (a quietApp) post(path string, body object) (r reply) {
	request := apiRequest{method: http.MethodPost, path: path, body: body}
	if a.repeats > 0 { // in memory each key takes an entry of the app's share
		request.idempotencyKey = rand.Text()
	}
	for n := 0; n <= a.repeats && (n == 0 || r.status == http.StatusServiceUnavailable); n++ {
		var err error
		began := time.Now()
		if r, err = a.node.send(a.node.t.Context(), request); err != nil {
			return reply{text: err.Error()}
		}
		if a.took != nil {
			a.took(time.Since(began))
		}
	}
	return r
}

// signIn signs one person in from an IP address of their own, by a wrong code and then the right one. Its error describes the first
// unexpected reply.
func (a quietApp) signIn(person int) error {
	subject, ip := fmt.Sprint("user-", person), publicIP(person)
	expect := func(what string, r reply, status int) error {
		if r.status != status {
			return fmt.Errorf("%s of %s: %d %s", what, subject, r.status, r.text)
		}
		return nil
	}
	started := a.post("/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email",
		"to": subject + "@example.com", "subject": subject, "client": object{"ip": ip}})
	if err := expect("start", started, http.StatusCreated); err != nil {
		return err
	}
	id := started.str("id")
	code := a.codes.waitForCode(id)
	if code == "" {
		return fmt.Errorf("no message arrived for %s", subject)
	}
	answer := func(answer string) reply {
		return a.post("/v1/challenges/"+id+"/check", object{"purpose": "sign_in", "subject": subject, "answer": answer,
			"client": object{"ip": ip}})
	}
	return errors.Join(expect("wrong code", answer(wrongCode(code)), http.StatusUnprocessableEntity),
		expect("right code", answer(code), http.StatusOK))
}

// publicIP returns the n-th address of a public block.
func publicIP(n int) string {
	return netip.AddrFrom4([4]byte{20 + byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
}

// startTenants starts a server in memory with a quiet app and hostile ones, and returns the engines of the hostile ones.
func startTenants(t *testing.T, change func(hostile *appSettings)) (quietApp, []*watchword.Engine) {
	codes := startCodeReceiver(t, httptest.NewServer)
	n, engines := startInProcessWithEngines(t, func(s *settings) {
		quiet := s.apps[0]
		quiet.send = map[string][]senderSettings{"email": {{"send.email[0]", watchword.NewCode(codes.senderURL())}}}
		s.apps = []appSettings{quiet}
		for i := range hostileApps {
			hostile := quiet
			hostile.id = fmt.Sprint("hostile-", i)
			hostile.keys = []apiKey{{sha256.Sum256([]byte(hostile.id)), []string{server.ScopeChallenges}}}
			hostile.send = map[string][]senderSettings{"email": {{"send.email[0]", watchword.NewCode(devSenderURL)}}}
			change(&hostile)
			s.apps = append(s.apps, hostile)
		}
	})
	return quietApp{node: n, codes: codes}, engines[1:]
}

func startChallenge(t *testing.T, e *watchword.Engine, person int) (*watchword.Started, error) {
	t.Helper()
	subject := fmt.Sprint("victim-", person)
	return e.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", Subject: subject,
		To: subject + "@example.com", Client: watchword.Client{IP: publicIP(person)}})
}

// The throttle's memory holds a million windows. With make soak twelve apps send more than half a million checks, each from
// another address and within its own limit, which two rules count.
func TestChecksOfOtherAppsFromNewAddressesThrottleNoCheck(t *testing.T) {
	quiet, hostile := startTenants(t, func(*appSettings) {})
	var apps sync.WaitGroup
	for _, e := range hostile {
		started, err := startChallenge(t, e, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Cancel(t.Context(), started.ID); err != nil {
			t.Fatal(err)
		}
		apps.Go(func() {
			for n := range rounds(2_000, 45_000) {
				_, err := e.Check(t.Context(), started.ID, watchword.CheckRequest{Purpose: "sign_in", Subject: "victim-0",
					Answer: watchword.Answer{Text: "123456"}, Client: watchword.Client{IP: publicIP(n)}})
				if !errors.Is(err, watchword.ErrChallengeCanceled) {
					t.Errorf("check %d of %s: %v", n, e.App(), err)
					return
				}
			}
		})
	}
	apps.Wait()
	for person := range 10 {
		if err := quiet.signIn(1<<20 + person); err != nil {
			t.Error(err)
		}
	}
}

// An app that starts challenges until its share of the memory is full is refused. No other app is.
func TestStartsOfOtherAppsFillNoMemoryOfAnApp(t *testing.T) {
	t.Parallel()
	quiet, hostile := startTenants(t, func(a *appSettings) {
		a.limits = []ratelimit.Rule{{Name: "address", Limit: 5, Window: time.Hour, By: ratelimit.ByAddress}}
	})
	var full error
	for n := 0; full == nil && n < 250_000; n++ {
		_, full = startChallenge(t, hostile[0], n)
	}
	if !errors.Is(full, watchword.ErrUnavailable) {
		t.Errorf("starts beyond the share: %v", full)
	}
	for person := range 10 {
		if err := quiet.signIn(person); err != nil {
			t.Error(err)
		}
	}
}

// An app whose commands occupy all its connections to Redis leaves those of other apps free.
func TestCommandsOfOneAppUseNoRedisConnectionOfAnother(t *testing.T) {
	through := redistest.StartProxy(t, redistest.Start(t).Addr)
	_, engines := startInProcessWithEngines(t, func(s *settings) {
		s.redis = watchword.NewCode(through.URL() + "?pool_size=1&read_timeout=30s")
		hostile := s.apps[0]
		hostile.id, hostile.keys = "hostile", []apiKey{{sha256.Sum256([]byte("hostile")), []string{server.ScopeChallenges}}}
		s.apps = append(s.apps, hostile)
	})
	for _, e := range engines { // opens the connection and loads the scripts
		started, err := startChallenge(t, e, 0)
		if err != nil {
			t.Fatal(err)
		}
		waitFor(t, watchword.DeliverySent, func() string { // else a command of the worker may be the one that is held
			view, err := e.Status(t.Context(), started.ID)
			return errors.Join(err, errors.New(view.Delivery.Status)).Error()
		})
	}
	const attempts = 20
	for person := 1; !startsBesideHeldStart(t, through, engines[0], engines[1], person); person++ {
		if person == attempts {
			t.Fatal("an app cannot start challenges while the command of another one is held")
		}
	}
}

// startsBesideHeldStart reports whether an app starts a challenge while a command of another app is held. If the store gives up the
// command before, on a busy machine, that shows nothing, and so does the held command of a worker.
func startsBesideHeldStart(t *testing.T, through *redistest.Proxy, quiet, hostile *watchword.Engine, person int) bool {
	t.Helper()
	const storeTimeout = time.Second // after which the held connection is closed
	hold := through.HoldNth(entryKeyPart, 1)
	outcome, began := make(chan error, 1), time.Now()
	go func() {
		_, err := startChallenge(t, hostile, person)
		outcome <- err
	}()
	select {
	case <-hold.Held():
	case <-time.After(testTimeout):
		t.Fatal("no command arrives")
	}
	_, err := startChallenge(t, quiet, person)
	took := time.Since(began)
	hold.Release()
	if held := <-outcome; held != nil && took < storeTimeout/2 && err == nil {
		t.Errorf("held start: %v", held)
	}
	return err == nil && took < storeTimeout
}
