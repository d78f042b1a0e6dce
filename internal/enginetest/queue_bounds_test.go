package enginetest_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// A queue keeps what the process remembers of a challenge for the messages that are sent soon. Of the others, and of those
// that are tried again, it keeps the ids, and composing them reads the store.
func TestQueueKeepsOnlyIDsOfDelayedMessages(t *testing.T) {
	queue := delivery.NewQueue(1000, nil)
	k := newKit(t, func(c *watchword.Config) { c.Outbox = queue })
	const started = 300
	for n := range started {
		req := startByEmail()
		req.Subject, req.To = fmt.Sprint("user-", n), fmt.Sprintf("user-%d@example.com", n)
		k.start(req)
	}
	k.store.failure = errors.New("the store is down")
	whole := 0
	for n := range started {
		o, err := queue.Claim(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = k.ComposeMessage(t.Context(), o)
		switch {
		case err == nil && n == whole:
			whole++
		case !errors.Is(err, watchword.ErrUnavailable):
			t.Fatalf("message %d: %v", n+1, err)
		}
	}
	if whole != 256 {
		t.Errorf("%d messages are composed without the store", whole)
	}
}
