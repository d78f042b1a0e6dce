package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// outageTime is how long relays are down or greylist in these tests: 60 seconds with WATCHWORD_SOAK=1.
func outageTime() time.Duration {
	if os.Getenv("WATCHWORD_SOAK") != "" {
		return 60 * time.Second
	}
	return 4 * time.Second
}

// A mailRelay is a real SMTP server.
type mailRelay struct {
	t        *testing.T
	address  string
	server   *gosmtp.Server
	listener net.Listener

	mu     sync.Mutex
	refuse func(to string) error // reply to RCPT; nil: accept
	mails  map[string]time.Time  // by recipient
}

// startRelay starts a relay at an address; empty: a free one.
func startRelay(t *testing.T, address string) *mailRelay {
	t.Helper()
	r := &mailRelay{t: t, mails: map[string]time.Time{}}
	r.listen(address)
	t.Cleanup(r.stop)
	return r
}

func (r *mailRelay) listen(address string) {
	r.t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	r.server = gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &relaySession{mailRelay: r}, nil }))
	r.server.Domain, r.server.ErrorLog = "mail.test", silentLog{}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		r.t.Fatal(err)
	}
	r.address, r.listener = listener.Addr().String(), listener
	go func(server *gosmtp.Server) { _ = server.Serve(listener) }(r.server)
}

// stop ends the relay, so that connections to it are refused.
func (r *mailRelay) stop() {
	_ = r.server.Close()
	_ = r.listener.Close() // Serve may not have registered it yet
}

func (r *mailRelay) url() string { return "smtp://" + r.address + "?from=noreply@acme.example" }

// arrived returns how many of the recipients have a mail.
func (r *mailRelay) arrived(recipients ...string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, to := range recipients {
		if _, ok := r.mails[to]; ok {
			n++
		}
	}
	return n
}

type silentLog struct{}

func (silentLog) Printf(string, ...any) {}
func (silentLog) Println(...any)        {}

type relaySession struct {
	*mailRelay
	to string
}

func (s *relaySession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (s *relaySession) Reset()                                 {}
func (s *relaySession) Logout() error                          { return nil }
func (s *relaySession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = to
	if s.refuse == nil {
		return nil
	}
	return s.refuse(to)
}
func (s *relaySession) Data(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails[s.to] = time.Now()
	return err
}

var greylisted = &gosmtp.SMTPError{Code: 451, EnhancedCode: gosmtp.EnhancedCode{4, 7, 1}, Message: "Greylisted, try again later"}

// mailSenders makes senders of the channel email.
func mailSenders(urls ...string) func(*settings) {
	return func(s *settings) {
		s.noLimits = true
		s.apps[0].send["email"] = nil
		for i, url := range urls {
			s.apps[0].send["email"] = append(s.apps[0].send["email"], senderSettings{fmt.Sprintf("send.email[%d]", i), watchword.NewCode(url)})
		}
	}
}

// onEachStorage runs a test with the queue in memory and with the outbox on Redis.
func onEachStorage(t *testing.T, test func(t *testing.T, storage func(*settings))) {
	t.Run("memory", func(t *testing.T) { t.Parallel(); test(t, func(*settings) {}) })
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		url := redistest.Start(t).URL()
		test(t, func(s *settings) { s.redis = watchword.NewCode(url) })
	})
}

// startMails starts n challenges to different mailboxes.
func (n *node) startMails(prefix string, count int) (ids, recipients []string) {
	n.t.Helper()
	for i := range count {
		to := prefix + strconv.Itoa(i) + "@example.com"
		ids = append(ids, n.start(func(o object) { o["to"], o["subject"] = to, to }).str("id"))
		recipients = append(recipients, to)
	}
	return ids, recipients
}

// A relay that cannot be reached for a minute loses no message, and none is reported as failed before.
func TestUnreachableRelayDelaysMessagesAndLosesNone(t *testing.T) {
	t.Parallel()
	onEachStorage(t, func(t *testing.T, storage func(*settings)) {
		relay := startRelay(t, freeport.Address(t))
		relay.stop()
		n := startInProcess(t, func(s *settings) { mailSenders(relay.url())(s); storage(s) })
		down := time.Now()
		ids, recipients := n.startMails("user", 10)
		for time.Since(down) < outageTime() {
			for _, id := range ids {
				if got := n.deliveryStatus(id); got != "queued <nil>" {
					t.Fatalf("after %s a message is %s", time.Since(down), got)
				}
			}
			time.Sleep(200 * time.Millisecond)
		}
		relay.listen(relay.address)
		back := time.Now()
		for until := back.Add(testTimeout); relay.arrived(recipients...) < 10; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(until) {
				t.Fatalf("%d of 10 arrived; the log ends with %s", relay.arrived(recipients...), tail(n.log.String(), 4000))
			}
		}
		for _, id := range ids {
			waitFor(t, "sent smtp", func() string { return n.deliveryStatus(id) })
		}
		t.Logf("down for %s, all arrived %s later", back.Sub(down).Round(time.Second), time.Since(back).Round(time.Millisecond))
	})
}

// A greylisted recipient gets the message when the relay accepts it.
func TestGreylistedMessageArrives(t *testing.T) {
	t.Parallel()
	onEachStorage(t, func(t *testing.T, storage func(*settings)) {
		relay, began, tries := startRelay(t, ""), time.Now(), 0
		relay.refuse = func(string) error {
			if tries++; time.Since(began) < outageTime() {
				return greylisted
			}
			return nil
		}
		n := startInProcess(t, func(s *settings) { mailSenders(relay.url())(s); storage(s) })
		ids, recipients := n.startMails("grey", 1)
		for until := began.Add(outageTime() + testTimeout); relay.arrived(recipients...) < 1; time.Sleep(20 * time.Millisecond) {
			if time.Now().After(until) || strings.HasPrefix(n.deliveryStatus(ids[0]), "failed") {
				t.Fatalf("after %s the message is %s", time.Since(began), n.deliveryStatus(ids[0]))
			}
		}
		waitFor(t, "sent smtp", func() string { return n.deliveryStatus(ids[0]) })
		relay.mu.Lock()
		defer relay.mu.Unlock()
		t.Logf("arrived after %s and %d tries", time.Since(began).Round(time.Second), tries)
	})
}

// Twenty greylisted recipients a second delay no other recipient's message: they open no breaker and occupy no worker.
func TestGreylistedRecipientsDelayNobodyElse(t *testing.T) {
	t.Parallel()
	onEachStorage(t, func(t *testing.T, storage func(*settings)) {
		relay := startRelay(t, "")
		relay.refuse = func(to string) error {
			if strings.HasPrefix(to, "grey") {
				return greylisted
			}
			return nil
		}
		n := startInProcess(t, func(s *settings) { mailSenders(relay.url())(s); storage(s) })
		seconds := int(outageTime()/time.Second) / 2
		longest := time.Duration(0)
		for second := range seconds {
			n.startMails(fmt.Sprintf("grey%d-", second), 20)
			_, innocent := n.startMails(fmt.Sprintf("ann%d-", second), 2)
			started := time.Now()
			waitFor(t, "2", func() string { return strconv.Itoa(relay.arrived(innocent...)) })
			longest = max(longest, time.Since(started))
			time.Sleep(time.Second - min(time.Since(started), time.Second))
		}
		if log := n.log.String(); strings.Contains(log, "circuit breaker") {
			t.Error("the breaker opened")
		}
		if os.Getenv("WATCHWORD_SOAK") != "" && longest > time.Second {
			t.Errorf("a message to another recipient took %s", longest)
		}
		t.Logf("the slowest message to another recipient took %s", longest.Round(time.Millisecond))
	})
}

// Whatever the first sender does, the second has the message within one time-out of the first.
func TestSecondSenderHasMessageWhateverTheFirstDoes(t *testing.T) {
	t.Parallel()
	hanging := make(chan struct{})
	sink := func(handler http.HandlerFunc) string {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return "webhook+" + server.URL + "/?secret=" + firstSecret
	}
	refusing := startRelay(t, "")
	refusing.refuse = func(string) error {
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	firsts := map[string]string{
		"hangs":                 sink(func(http.ResponseWriter, *http.Request) { <-hanging }),
		"refuses connections":   "webhook+http://" + freeport.Address(t) + "/?secret=" + firstSecret,
		"refuses the recipient": refusing.url(),
		"answers 500":           sink(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }),
		"drops the connection":  sink(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }),
	}
	t.Cleanup(func() { close(hanging) }) // before the servers are closed
	for name, first := range firsts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			second := startRelay(t, "")
			n := startInProcess(t, mailSenders(first, second.url()))
			began := time.Now()
			_, recipients := n.startMails("user", 1)
			waitFor(t, "1", func() string { return strconv.Itoa(second.arrived(recipients...)) })
			t.Logf("arrived after %s", time.Since(began).Round(10*time.Millisecond))
		})
	}
}

// After failures of three recipients the breaker skips the first sender, so that messages no longer wait for its time-out. It heals.
func TestBreakerOfServerOpensAndHeals(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var requests int
	failing := true
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if requests++; failing {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	t.Cleanup(first.Close)
	second := startRelay(t, "")
	n := startInProcess(t, mailSenders("webhook+"+first.URL+"/?secret="+firstSecret, second.url()))
	_, recipients := n.startMails("user", 20)
	waitFor(t, "20", func() string { return strconv.Itoa(second.arrived(recipients...)) })
	mu.Lock()
	if requests > 20 {
		t.Errorf("%d requests to a sender whose breaker is open", requests)
	}
	failing, requests = false, 0
	mu.Unlock()
	for i := 0; ; i++ { // the pause is 5 to 10 seconds
		_, more := n.startMails("later"+strconv.Itoa(i)+"-", 1)
		waitFor(t, "done", func() string {
			mu.Lock()
			defer mu.Unlock()
			if requests > 0 || second.arrived(more...) == 1 {
				return "done"
			}
			return ""
		})
		mu.Lock()
		healed := requests > 1
		mu.Unlock()
		if healed {
			break
		}
		if i > 200 {
			t.Fatal("the breaker stays open")
		}
		time.Sleep(100 * time.Millisecond)
	}
	for _, state := range []string{"open", "closed"} {
		waitFor(t, state, func() string {
			return map[bool]string{true: state}[strings.Contains(n.log.String(), `"to":"`+state+`"`)]
		})
	}
}

// tail returns the end of a text.
func tail(text string, length int) string { return text[max(len(text)-length, 0):] }
