package enginetest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/redistest"
	redisstore "github.com/watchword-auth/watchword/store/redis"
)

// failingPhones is a sender of a node that refuses text messages for good and keeps mails.
type failingPhones struct {
	mu    sync.Mutex
	mails []watchword.Message
	came  chan struct{}
}

func (s *failingPhones) Send(_ context.Context, m watchword.Message) (watchword.Sent, error) {
	if m.Channel == "sms" {
		return watchword.Sent{}, &watchword.SendError{Fault: watchword.FaultRecipient, Permanent: true, Provider: "p", Cause: errors.New("unknown number")}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, m)
	s.came <- struct{}{}
	return watchword.Sent{Provider: "p"}, nil
}

// A dyingOutbox fails from the moment at which the fallback's challenge is stored, as if the process had died after it wrote the
// verification.
type dyingOutbox struct {
	*redisstore.Outbox
	mu   sync.Mutex
	dies bool
	died chan struct{} // closed when it has failed once
}

func (o *dyingOutbox) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.dies {
		if !o.isDead() {
			close(o.died)
		}
		return errDied
	}
	return o.Outbox.Create(ctx, e, out...)
}

func (o *dyingOutbox) isDead() bool {
	select {
	case <-o.died:
		return true
	default:
		return false
	}
}

// With the outbox on Redis and real workers, a text message fails and a mail follows, once, although the first nodes that open the
// fallback die when the verification is written and its challenge is not.
func TestFallbackIsSentOnceByTheOutboxOnRedis(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	sender := &failingPhones{came: make(chan struct{}, 10)}
	newNode := func(k *kit) (*watchword.Engine, *dyingOutbox, func()) {
		o, err := redisstore.NewOutbox(redisstore.New(server.Client(t), redisstore.Config{}), redisstore.OutboxConfig{App: "shop"})
		if err != nil {
			t.Fatal(err)
		}
		store := &dyingOutbox{Outbox: o, died: make(chan struct{})}
		e := k.newNode(func(c *watchword.Config) { c.Store, c.Outbox = store, nil })
		w, err := delivery.NewWorker(delivery.WorkerConfig{Engine: e, Outbox: o, Sender: sender})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = w.Run(ctx) }()
		return e, store, func() { stop(); <-ended }
	}
	k := newKit(t, func(c *watchword.Config) { c.Clock, c.NoBudget = time.Now, true })
	for round := range rounds() / 10 {
		first, firstStore, stopFirst := newNode(k)
		v, err := first.StartVerification(t.Context(), fallbackTo(mailMethod))
		if err != nil {
			t.Fatal(err)
		}
		firstStore.mu.Lock()
		firstStore.dies = true
		firstStore.mu.Unlock()
		if err := first.RecordPresence(t.Context(), v.ID); err != nil {
			t.Fatal(err)
		}
		second, _, stopSecond := newNode(k)
		late := time.After(40 * time.Second)
		select {
		case <-firstStore.died:
			stopFirst() // it would claim what it could not store again and again
			waitForMail(t, sender, late)
		case <-sender.came:
		case <-late:
			t.Fatalf("round %d: neither node opened the fallback", round)
		}
		stopFirst()
		stopSecond()
		sender.mu.Lock()
		mails := sender.mails
		sender.mails = nil
		sender.mu.Unlock()
		if len(mails) != 1 {
			t.Fatalf("%d mails", len(mails))
		}
		view, err := second.VerificationStatus(t.Context(), v.ID)
		if err != nil || view.Fallback != (watchword.FallbackView{Method: "m2", From: "m1"}) {
			t.Fatalf("%+v, %v", view, err)
		}
		if _, err := checkMethod(second, v.ID, "m2", mails[0].Code.Reveal()); err != nil {
			t.Fatal(err)
		}
		t.Logf("the first node died: %t", firstStore.isDead())
	}
}

func waitForMail(t *testing.T, s *failingPhones, late <-chan time.Time) {
	t.Helper()
	select {
	case <-s.came:
	case <-late:
		t.Fatal("no mail")
	}
}
