package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// A server that ends finishes what it is sending, records that, and leaves the rest to the other server. Each message is sent once.
func TestServerThatEndsHandsItsMessagesOver(t *testing.T) {
	t.Parallel()
	redis, receiver, dir := redistest.Start(t), startMessageReceiver(t, 500*time.Millisecond), t.TempDir()
	start := func() *node {
		return startNode(t, dir, redis.URL(), "--dev-no-limits", "--send", "email="+receiver.senderURL())
	}
	ending, other := start(), start()
	var ids []string
	for n := range 150 {
		ids = append(ids, ending.start(func(b object) { b["to"] = fmt.Sprintf("user%d@example.com", n) }).str("id"))
	}
	began := time.Now()
	ending.stop()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the server ended after %s", took)
	}
	for _, id := range ids {
		receiver.waitFor(t, id)
		waitFor(t, "sent webhook", func() string { return other.deliveryStatus(id) })
	}
	for _, id := range ids {
		if n := len(receiver.of(id)); n != 1 {
			t.Errorf("%d messages of %s", n, id)
		}
	}
}
