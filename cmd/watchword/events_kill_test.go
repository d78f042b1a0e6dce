package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
)

const laterEventsSecret = "whsec_pHOf2pOzri6k2vL72tEnam847aZYHMYT"

// A lossyReceiver is an event endpoint that refuses some events for a while, each twice at most, so that none waits long. It accepts what the Standard Webhooks library verifies
// with one secret, and after rotate with another one only.
type lossyReceiver struct {
	*httptest.Server
	t        *testing.T
	verifier atomic.Pointer[standardwebhooks.Webhook]

	mu      sync.Mutex
	refused map[string]int            // by id: how often
	ids     map[string]map[string]int // by type and challenge or verification: how often each id was accepted
}

func startLossyReceiver(t *testing.T) *lossyReceiver {
	r := &lossyReceiver{t: t, refused: map[string]int{}, ids: map[string]map[string]int{}}
	r.accept(eventsSecret)
	r.Server = httptest.NewUnstartedServer(r)
	r.Config.ErrorLog = log.New(io.Discard, "", 0) // killed servers break connections off
	r.StartTLS()
	t.Cleanup(r.Close)
	return r
}

// accept makes the receiver verify with a secret.
func (r *lossyReceiver) accept(secret string) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		r.t.Fatal(err)
	}
	r.verifier.Store(verifier)
}

func (r *lossyReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the server was killed
	}
	if r.refuses(req.Header.Get("Webhook-Id")) {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := r.verifier.Load().Verify(body, req.Header); err != nil {
		r.t.Errorf("the Standard Webhooks library refuses an event: %v", err)
		return
	}
	var event struct {
		Type string
		Data struct {
			Challenge    string `json:"challenge_id"`
			Verification string `json:"verification_id"`
		}
	}
	if err := json.Unmarshal(body, &event); err != nil {
		r.t.Error(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	key := event.Type + " " + event.Data.Challenge
	if strings.HasPrefix(event.Type, "verification.") {
		key = event.Type + " " + event.Data.Verification
	}
	if r.ids[key] == nil {
		r.ids[key] = map[string]int{}
	}
	r.ids[key][req.Header.Get("Webhook-Id")]++
}

func (r *lossyReceiver) refuses(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if rand.N(8) > 0 || r.refused[id] == 2 {
		return false
	}
	r.refused[id]++
	return true
}

// missing returns those of the events that were not accepted yet.
func (r *lossyReceiver) missing(expected []string) (missing []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range expected {
		if len(r.ids[key]) == 0 {
			missing = append(missing, key)
		}
	}
	return missing
}

// An eventLoad starts and ends challenges and verifications at two servers, and keeps the events that must follow from the answers.
type eventLoad struct {
	startLoad
	codes *codeReceiver

	expectedMu sync.Mutex
	expected   []string // type and challenge or verification
	started    []string
}

func (l *eventLoad) expect(kind, challenge string) {
	l.expectedMu.Lock()
	defer l.expectedMu.Unlock()
	l.expected = append(l.expected, kind+" "+challenge)
	if kind == watchword.EventStarted {
		l.started = append(l.started, challenge)
	}
}

// progress is "enough" when a number of challenges was started and an event of each of the types is expected.
func (l *eventLoad) progress(starts int, types ...string) string {
	l.expectedMu.Lock()
	defer l.expectedMu.Unlock()
	if len(l.started) < starts {
		return fmt.Sprint(len(l.started), " challenges")
	}
	for _, kind := range types {
		if !slices.ContainsFunc(l.expected, func(key string) bool { return strings.HasPrefix(key, kind) }) {
			return "no " + kind
		}
	}
	return "enough"
}

// run starts users until stop is closed. Requests whose server is killed are not counted.
func (l *eventLoad) run(t *testing.T, users int) {
	for u := range users {
		l.senders.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				case <-time.After(rand.N(20 * time.Millisecond)):
				}
				to := fmt.Sprintf("user%d-%d@example.com", u, i)
				if i%2 == 1 {
					l.takeVerificationSteps(t, to, i)
				} else {
					l.takeSteps(t, to, i/2)
				}
			}
		})
	}
}

// post posts to one of the servers. A reply without status means that it was killed.
func (l *eventLoad) post(t *testing.T, server int, path string, body object) reply {
	r, err := l.node(server).send(t.Context(), apiRequest{method: http.MethodPost, path: path, body: body})
	if err != nil {
		return reply{}
	}
	return r
}

// takeVerificationSteps starts a verification, and answers or cancels it.
func (l *eventLoad) takeVerificationSteps(t *testing.T, to string, i int) {
	post := func(path string, body object) reply { return l.post(t, i/2%2, "/v1/verifications"+path, body) }
	r := post("", object{"purpose": "sign_in", "methods": []object{{"strategy": "otp", "channel": "email", "to": to}}})
	if r.status != http.StatusCreated {
		return
	}
	challenge, _ := r.body["challenge"].(map[string]any)
	id, part := r.str("id"), fmt.Sprint(challenge["id"])
	l.expect(watchword.EventVerificationStarted, id)
	l.expect(watchword.EventStarted, part)
	if i%4 == 3 {
		if post("/"+id+"/cancel", object{}).status == http.StatusOK {
			l.expect(watchword.EventVerificationCanceled, id)
		}
		return
	}
	if post("/"+id+"/check", object{"purpose": "sign_in", "to": to, "answer": l.codes.waitForCode(part)}).status == http.StatusOK {
		l.expect(watchword.EventVerificationApproved, id)
	}
}

// takeSteps starts a challenge, and approves, cancels or locks it.
func (l *eventLoad) takeSteps(t *testing.T, to string, i int) {
	post := func(path string, body object) reply { return l.post(t, i%2, path, body) }
	r := post("/v1/challenges", object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": to})
	if r.status != http.StatusCreated {
		return
	}
	id := r.str("id")
	l.expect(watchword.EventStarted, id)
	check := func(code string) reply {
		return post("/v1/challenges/"+id+"/check", object{"purpose": "sign_in", "to": to, "answer": code})
	}
	switch i % 4 {
	case 0, 1:
		if check(l.codes.waitForCode(id)).status == http.StatusOK {
			l.expect(watchword.EventApproved, id)
		}
	case 2:
		if post("/v1/challenges/"+id+"/cancel", object{}).status == http.StatusOK {
			l.expect(watchword.EventCanceled, id)
		}
	case 3:
		code := l.codes.waitForCode(id)
		if code == "" {
			return
		}
		wrong := wrongCode(code)
		for range 6 { // the last one is refused
			if r := check(wrong); r.errorCode() == "attempts_exhausted" {
				l.expect(watchword.EventLocked, id)
				return
			}
		}
	}
}

// Two servers on one Redis are killed at random moments under load, and restarted with another secret. Every event of what was
// answered is delivered, with one id however often. A receiver with the Standard Webhooks library accepts each one through retries
// and the change of the secret.
func TestEveryEventIsDeliveredAlthoughServersAreKilled(t *testing.T) {
	t.Parallel()
	redis, events := redistest.Start(t), startLossyReceiver(t)
	codes := startCodeReceiver(t, httptest.NewTLSServer)
	endpoint := events.URL + "/?secret=" + eventsSecret
	config := writeProductionConfig(t, redis.URL(), `apps:
  - id: shop
    keys: [{sha256: `+apiKeyDigest("shop-key")+`, scopes: [challenges]}]
    send: {email: ["`+codes.senderURL()+`"]}
    limits: [{name: app, limit: 10000000, window: 1h, by: app}]
    events: [{url: "`+endpoint+`"}]
`)
	start := func() *node {
		n := startServer(t, []string{"SSL_CERT_FILE=" + writeCertificate(t, events.Server)}, "--config", config, "--log-level", "error")
		n.key = "shop-key"
		return n
	}
	load := &eventLoad{startLoad: startLoad{nodes: [2]*node{start(), start()}, stop: make(chan struct{})}, codes: codes}
	load.run(t, 6)
	kills := rounds(5, 50)
	for n := range kills {
		switch n { // a step of a rotation is in use everywhere when both servers have restarted
		case 0:
			replaceInFile(t, config, endpoint, endpoint+"&secret="+laterEventsSecret)
		case 2:
			events.accept(laterEventsSecret)
			replaceInFile(t, config, endpoint+"&secret="+laterEventsSecret, strings.Replace(endpoint, eventsSecret, laterEventsSecret, 1))
		}
		time.Sleep(rand.N(400 * time.Millisecond))
		waitFor(t, "enough", func() string { return load.progress(5 * (n + 1)) })
		load.node(n % 2).kill()
		load.replace(n%2, start())
	}
	waitFor(t, "enough", func() string {
		return load.progress(0, watchword.EventVerificationApproved, watchword.EventVerificationCanceled)
	})
	close(load.stop)
	load.senders.Wait()
	load.expectDelivered(t, events, kills)
}

func replaceInFile(t *testing.T, path, old, new string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(readDoc(t, path), old, new)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectDelivered waits until every event was accepted, and fails if one has two ids.
func (l *eventLoad) expectDelivered(t *testing.T, events *lossyReceiver, kills int) {
	t.Helper()
	for _, id := range l.started {
		if r := l.node(0).call("GET", "/v1/challenges/"+id, nil); strings.Contains(r.text, `"status":"sent"`) {
			l.expect(watchword.EventMessageSent, id)
		}
	}
	var missing []string
	for until := time.Now().Add(2*watchword.SendLease + testTimeout); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		if missing = events.missing(l.expected); len(missing) == 0 {
			break
		}
	}
	if len(missing) > 0 {
		t.Errorf("%d of %d events were not delivered: %s", len(missing), len(l.expected), strings.Join(missing, ", "))
	}
	events.mu.Lock()
	defer events.mu.Unlock()
	repeated := 0
	for key, ids := range events.ids {
		for id, times := range ids {
			repeated += times - 1
			if len(ids) > 1 && !strings.HasPrefix(key, watchword.EventFailed) {
				t.Errorf("%s has several ids, such as %s", key, id)
			}
		}
	}
	t.Logf("%d challenges, %d kills, %d events expected, %d delivered twice", len(l.started), kills, len(l.expected), repeated)
}
