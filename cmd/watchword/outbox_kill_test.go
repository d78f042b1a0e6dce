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
	accepted  bool // the sender was alive until the response
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
		body.Data.at = time.Now()
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
// most once more for each kill, with the same id and not after it expired.
func TestEveryMessageIsSentAlthoughServersAreKilled(t *testing.T) {
	t.Parallel()
	redis, receiver, dir := redistest.Start(t), startMessageReceiver(t, 30*time.Millisecond), t.TempDir()
	start := func() *node {
		return startNode(t, dir, redis.URL(), "--dev-no-limits", "--log-level", "error", "--send", "email="+receiver.senderURL())
	}
	load := &startLoad{nodes: [2]*node{start(), start()}, stop: make(chan struct{})}
	load.run(t, 6)
	kills := rounds(5, 50)
	var killed []time.Time
	for n := range kills {
		time.Sleep(rand.N(400 * time.Millisecond))
		load.node(n % 2).kill()
		killed = append(killed, time.Now())
		load.replace(n%2, start())
	}
	close(load.stop)
	load.senders.Wait()
	if len(load.accepted) < 10*kills {
		t.Fatalf("only %d challenges were started", len(load.accepted))
	}
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

// expectEachSent waits until every challenge has its message, and until the leases of killed servers have ended.
func (r *messageReceiver) expectEachSent(t *testing.T, challenges []string, killed []time.Time) {
	t.Helper()
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
	time.Sleep(time.Until(killed[len(killed)-1].Add(watchword.SendLease + 3*time.Second))) // for what is sent twice
	repeated := 0
	for _, id := range challenges {
		got := r.of(id)
		repeated += max(len(got)-1, 0)
		for i, m := range got {
			if m.at.After(m.ExpiresAt) || m.ID != got[0].ID {
				t.Errorf("message %s of %s at %s, expired at %s", m.ID, id, m.at, m.ExpiresAt)
			}
			if i > 0 && i > killsBetween(killed, got[0].at, m.at) {
				t.Errorf("message %s was sent %d times with %d kills in between", m.ID, i+1, killsBetween(killed, got[0].at, m.at))
			}
		}
	}
	t.Logf("%d challenges, %d kills, %d messages sent twice", len(challenges), len(killed), repeated)
}

// killsBetween counts the kills from shortly before the first message. The server is killed before its end is noticed.
func killsBetween(killed []time.Time, from, to time.Time) (n int) {
	for _, at := range killed {
		if at.After(from.Add(-100*time.Millisecond)) && at.Before(to) {
			n++
		}
	}
	return n
}
