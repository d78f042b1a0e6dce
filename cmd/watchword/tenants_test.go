package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// A tenantReceiver takes the messages of a webhook and hands their codes out.
type tenantReceiver struct {
	*httptest.Server
	codes sync.Map // challenge id → chan string
}

func newTenantReceiver(t *testing.T, start func(http.Handler) *httptest.Server) *tenantReceiver {
	r := &tenantReceiver{}
	r.Server = start(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var event struct {
			Data struct {
				ChallengeID string `json:"challenge_id"`
				Code        string `json:"code"`
			} `json:"data"`
		}
		if err := json.NewDecoder(req.Body).Decode(&event); err != nil {
			t.Error(err)
		}
		select {
		case r.waiting(event.Data.ChallengeID) <- event.Data.Code:
		default: // it came twice
		}
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *tenantReceiver) waiting(id string) chan string {
	c, _ := r.codes.LoadOrStore(id, make(chan string, 1))
	return c.(chan string)
}

// code waits for a challenge's message; without one it is empty.
func (r *tenantReceiver) code(id string) string {
	defer r.codes.Delete(id)
	select {
	case code := <-r.waiting(id):
		return code
	case <-time.After(patience):
		return ""
	}
}

func (r *tenantReceiver) sender() string {
	return "webhook+" + r.URL + "/?secret=" + eventsSecret
}

// A neighbor is an app whose people sign in while others misbehave.
type neighbor struct {
	node    *node
	codes   *tenantReceiver
	repeats int // how often its backend sends what was answered 503 again, with the same idempotency key
}

func (b neighbor) post(path string, body object) (r reply) {
	text, _ := json.Marshal(body)
	key := rand.Text()
	for n := 0; n <= b.repeats && (n == 0 || r.status == http.StatusServiceUnavailable); n++ {
		req, err := http.NewRequest(http.MethodPost, b.node.url+path, bytes.NewReader(text))
		if err != nil {
			return reply{text: err.Error()}
		}
		req.Header.Set("Authorization", "Bearer "+cmp.Or(b.node.key, devKey))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			return reply{text: err.Error()}
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil {
			return reply{text: err.Error()}
		}
		r = reply{status: res.StatusCode, text: string(got)}
		_ = json.Unmarshal(got, &r.body)
	}
	return r
}

// signIn is one person's whole flow, from an address that nobody has come from: a wrong code, then the right one. The error
// says what came instead of the right outcome.
func (b neighbor) signIn(person int) error {
	subject, ip := fmt.Sprint("user-", person), address(person)
	expect := func(what string, r reply, status int) error {
		if r.status != status {
			return fmt.Errorf("%s of %s: %d %s", what, subject, r.status, r.text)
		}
		return nil
	}
	started := b.post("/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email",
		"to": subject + "@example.com", "subject": subject, "client": object{"ip": ip}})
	if err := expect("start", started, http.StatusCreated); err != nil {
		return err
	}
	id := started.str("id")
	code := b.codes.code(id)
	if code == "" {
		return fmt.Errorf("no message came to %s", subject)
	}
	answer := func(answer string) reply {
		return b.post("/v1/challenges/"+id+"/check", object{"purpose": "sign_in", "subject": subject, "answer": answer,
			"client": object{"ip": ip}})
	}
	return errors.Join(expect("wrong code", answer(otherCode(code)), http.StatusUnprocessableEntity),
		expect("right code", answer(code), http.StatusOK))
}

// address is the n-th public address of a block.
func address(n int) string {
	return netip.AddrFrom4([4]byte{20 + byte(n>>24), byte(n >> 16), byte(n >> 8), byte(n)}).String()
}

// startTenants runs hostile apps and their neighbor, everything in memory.
func startTenants(t *testing.T, change func(hostile *appSettings)) (neighbor, []*watchword.Engine) {
	codes := newTenantReceiver(t, httptest.NewServer)
	n, engines := startWithEngines(t, func(s *settings) {
		one := s.apps[0]
		one.send = map[string][]senderSettings{"email": {{"send.email[0]", watchword.NewCode(codes.sender())}}}
		s.apps = []appSettings{one}
		for i := range hostileApps {
			hostile := one
			hostile.id = fmt.Sprint("hostile-", i)
			hostile.keys = []apiKey{{sha256.Sum256([]byte(hostile.id)), []string{server.ScopeChallenges}}}
			hostile.send = map[string][]senderSettings{"email": {{"send.email[0]", watchword.NewCode(devSender)}}}
			change(&hostile)
			s.apps = append(s.apps, hostile)
		}
	})
	return neighbor{node: n, codes: codes}, engines[1:]
}

func begin(t *testing.T, e *watchword.Engine, person int) (*watchword.Started, error) {
	t.Helper()
	subject := fmt.Sprint("victim-", person)
	return e.Start(t.Context(), watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", Subject: subject,
		To: subject + "@example.com", Client: watchword.Client{IP: address(person)}})
}

// With make soak it is more than half a million checks of twelve apps, each within its own limit and from another address:
// as many as two rules count in a million windows.
func TestChecksOfOtherAppsFromNewAddressesRefuseNoCheck(t *testing.T) {
	quiet, hostile := startTenants(t, func(*appSettings) {})
	var apps sync.WaitGroup
	for _, e := range hostile {
		started, err := begin(t, e, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Cancel(t.Context(), started.ID); err != nil {
			t.Fatal(err)
		}
		apps.Go(func() {
			for n := range rounds(2_000, 45_000) {
				_, err := e.Check(t.Context(), started.ID, watchword.CheckRequest{Purpose: "sign_in", Subject: "victim-0",
					Answer: watchword.Answer{Text: "123456"}, Client: watchword.Client{IP: address(n)}})
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

// An app that starts challenges until nothing of it fits into memory is refused, and alone.
func TestStartsOfOtherAppsFillNobodyElsesMemory(t *testing.T) {
	quiet, hostile := startTenants(t, func(a *appSettings) {
		a.limits = []ratelimit.Rule{{Name: "address", Limit: 5, Window: time.Hour, By: ratelimit.ByAddress}}
	})
	var full error
	for n := 0; full == nil && n < 250_000; n++ {
		_, full = begin(t, hostile[0], n)
	}
	if !errors.Is(full, watchword.ErrUnavailable) {
		t.Errorf("the app that starts without an end: %v", full)
	}
	for person := range 10 {
		if err := quiet.signIn(person); err != nil {
			t.Error(err)
		}
	}
}

// An app whose commands hold all of its connections to Redis leaves its neighbor's alone.
func TestCommandsOfOneAppTakeNoConnectionOfAnother(t *testing.T) {
	through := redistest.StartProxy(t, redistest.Start(t).Addr)
	_, engines := startWithEngines(t, func(s *settings) {
		s.redis = watchword.NewCode(through.URL() + "?pool_size=1&read_timeout=30s")
		hostile := s.apps[0]
		hostile.id, hostile.keys = "hostile", []apiKey{{sha256.Sum256([]byte("hostile")), []string{server.ScopeChallenges}}}
		s.apps = append(s.apps, hostile)
	})
	for _, e := range engines { // each is connected, and knows the scripts
		if _, err := begin(t, e, 0); err != nil {
			t.Fatal(err)
		}
	}
	hold := through.HoldNth("evalsha", 1)
	held := make(chan error, 1)
	go func() {
		_, err := begin(t, engines[1], 1)
		held <- err
	}()
	select {
	case <-hold.Held():
	case <-time.After(patience):
		t.Fatal("no command comes")
	}
	if _, err := begin(t, engines[0], 1); err != nil {
		t.Errorf("the neighbor's start: %v", err)
	}
	hold.Release()
	if err := <-held; err != nil {
		t.Errorf("the start that was held: %v", err)
	}
}
