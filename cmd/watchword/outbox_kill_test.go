package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// A sentMessage is a message as a receiver has got it.
type sentMessage struct {
	ID        string    `json:"message_id"`
	Challenge string    `json:"challenge_id"`
	Code      string    `json:"code"`
	ExpiresAt time.Time `json:"expires_at"`
	at        time.Time
	process   string // that sent it, by the path of its sender's URL
	accepted  bool   // the sender was alive until the response
}

// A messageReceiver is a webhook receiver that keeps every message, repeated ones too.
type messageReceiver struct {
	*httptest.Server
	mu       sync.Mutex
	messages map[string][]sentMessage // by challenge
}

// startMessageReceiver starts a receiver that takes up to delay for a response.
func startMessageReceiver(t *testing.T, delay time.Duration) *messageReceiver {
	r := &messageReceiver{messages: map[string][]sentMessage{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		var body struct{ Data sentMessage }
		if !readSent(t, req, &body) {
			return
		}
		body.Data.at, body.Data.process = time.Now(), req.URL.Path
		id := body.Data.Challenge
		r.mu.Lock()
		n := len(r.messages[id])
		r.messages[id] = append(r.messages[id], body.Data)
		r.mu.Unlock()
		if delay > 0 {
			time.Sleep(rand.N(delay))
		}
		r.mu.Lock()
		r.messages[id][n].accepted = req.Context().Err() == nil
		r.mu.Unlock()
	}))
	t.Cleanup(r.Close)
	return r
}

// senderURL is the URL of a sender that sends to the receiver.
func (r *messageReceiver) senderURL() string { return "webhook+" + r.URL + "/?secret=" + eventsSecret }

// senderURLOf is the URL of a sender that only one process uses.
func (r *messageReceiver) senderURLOf(process string) string {
	return "webhook+" + r.URL + process + "?secret=" + eventsSecret
}

// of returns the messages of a challenge so far.
func (r *messageReceiver) of(challenge string) []sentMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]sentMessage(nil), r.messages[challenge]...)
}

// waitFor waits for the first message of a challenge.
func (r *messageReceiver) waitFor(t *testing.T, challenge string) sentMessage {
	t.Helper()
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
		if got := r.of(challenge); len(got) > 0 {
			return got[0]
		}
	}
	t.Fatalf("the message of %s does not arrive", challenge)
	return sentMessage{}
}

// Two servers on one Redis are killed at random moments under load. Every challenge that was answered 201 has its message sent, at
// most once by each process, and again only after those that sent it before were killed, with the same id and not after it expired.
func TestEveryMessageIsSentAlthoughServersAreKilled(t *testing.T) {
	t.Parallel()
	redis, receiver, dir := redistest.Start(t), startMessageReceiver(t, 30*time.Millisecond), t.TempDir()
	start := func(process string) *node {
		return startNode(t, dir, redis.URL(), "--dev-no-limits", "--log-level", "error", "--send", "email="+receiver.senderURLOf(process))
	}
	processes := [2]string{"/first", "/second"}
	load := &startLoad{nodes: [2]*node{start(processes[0]), start(processes[1])}, stop: make(chan struct{})}
	load.run(t, 6)
	kills := rounds(5, 50)
	killed := map[string]time.Time{} // by process
	for n := range kills {
		time.Sleep(rand.N(400 * time.Millisecond))
		load.waitForStarts(t, 10*(n+1))
		load.node(n % 2).kill()
		killed[processes[n%2]] = time.Now()
		processes[n%2] = fmt.Sprint("/", n)
		load.replace(n%2, start(processes[n%2]))
	}
	close(load.stop)
	load.senders.Wait()
	receiver.expectEachSent(t, load.accepted, killed)
}

// A startLoad starts challenges at two servers until stop is closed.
type startLoad struct {
	stop    chan struct{}
	senders sync.WaitGroup

	mu       sync.Mutex
	nodes    [2]*node
	accepted []string // ids of the challenges that were answered 201
}

func (l *startLoad) node(i int) *node {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[i]
}

func (l *startLoad) replace(i int, n *node) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nodes[i] = n
}

// waitForStarts waits until a number of challenges has been started.
func (l *startLoad) waitForStarts(t *testing.T, count int) {
	t.Helper()
	waitFor(t, "enough", func() string {
		l.mu.Lock()
		defer l.mu.Unlock()
		if len(l.accepted) < count {
			return fmt.Sprint(len(l.accepted), " challenges")
		}
		return "enough"
	})
}

// run starts senders. Each request goes to one of the servers; those that find it killed are not counted.
func (l *startLoad) run(t *testing.T, senders int) {
	for s := range senders {
		l.senders.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-l.stop:
					return
				case <-time.After(rand.N(20 * time.Millisecond)):
				}
				body := object{"strategy": "otp", "purpose": "sign_in", "channel": "email", "to": fmt.Sprintf("user%d-%d@example.com", s, i)}
				r, err := l.node(i%2).send(t.Context(), apiRequest{method: http.MethodPost, path: "/v1/challenges", body: body})
				if err == nil && r.status == http.StatusCreated {
					l.mu.Lock()
					l.accepted = append(l.accepted, r.str("id"))
					l.mu.Unlock()
				}
			}
		})
	}
}

// expectEachSent waits until every challenge has its message, and until the leases of the killed processes have ended.
func (r *messageReceiver) expectEachSent(t *testing.T, challenges []string, killed map[string]time.Time) {
	t.Helper()
	leasesEnd := time.Now().Add(watchword.SendLease + 3*time.Second)
	left := challenges
	for until := time.Now().Add(watchword.SendLease + testTimeout); len(left) > 0 && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
		var missing []string
		for _, id := range left {
			if !slices.ContainsFunc(r.of(id), func(m sentMessage) bool { return m.accepted }) {
				missing = append(missing, id)
			}
		}
		left = missing
	}
	if len(left) > 0 {
		t.Errorf("%d of %d messages were never accepted, such as that of %s", len(left), len(challenges), left[0])
	}
	time.Sleep(time.Until(leasesEnd)) // for what is sent twice
	repeated := 0
	for _, id := range challenges {
		got := r.of(id)
		repeated += max(len(got)-1, 0)
		for i, m := range got {
			if m.at.After(m.ExpiresAt) || m.ID != got[0].ID {
				t.Errorf("message %s of %s at %s, expired at %s", m.ID, id, m.at, m.ExpiresAt)
			}
			for _, earlier := range got[:i] {
				if at, ok := killed[earlier.process]; !ok || at.After(m.at) || earlier.process == m.process {
					t.Errorf("message %s was sent again by %s, though %s had sent it and was not killed", m.ID, m.process, earlier.process)
				}
			}
		}
	}
	t.Logf("%d challenges, %d kills, %d messages sent twice", len(challenges), len(killed), repeated)
}
