package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/client"
	"github.com/watchword-auth/watchword/client/clienttest"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// The kit for Go, against development servers in memory and on Redis. The kit for TypeScript has the same tests, and that of the
// message that is late.
func TestTestingKitAgainstDevelopmentServer(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		tryPersonas(t, startNode(t, t.TempDir(), memoryURL))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		tryPersonas(t, startNode(t, t.TempDir(), redistest.Start(t).URL()))
	})
}

func tryPersonas(t *testing.T, server *node) {
	t.Helper()
	c, err := client.New(client.Config{URL: server.url, APIKey: watchword.NewCode(devKey)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for persona, want := range map[clienttest.Persona]struct {
		err      error
		status   watchword.Status
		delivery string
	}{
		clienttest.Ordinary:      {nil, watchword.Approved, watchword.DeliverySent},
		clienttest.Undeliverable: {nil, watchword.Approved, watchword.DeliveryFailed},
		clienttest.Locked:        {watchword.ErrAttemptsExhausted, watchword.Locked, watchword.DeliverySent},
		clienttest.Expired:       {watchword.ErrChallengeExpired, watchword.Expired, watchword.DeliverySent},
	} {
		for _, to := range []string{persona.Email(), persona.Phone()} {
			channel := "sms"
			if strings.Contains(to, "@") {
				channel = "email"
			}
			started, err := c.StartChallenge(ctx, client.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: channel, To: to})
			if err != nil {
				t.Fatal(err)
			}
			for { // the message is sent, or refused, before the code is typed
				got, err := c.GetChallenge(ctx, started.ID)
				if err != nil {
					t.Fatal(err)
				}
				if got.Delivery.Status == want.delivery && got.Status == watchword.Pending {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			_, err = c.CheckChallenge(ctx, started.ID, client.CheckRequest{Purpose: "sign_in", To: to, Answer: client.Text(clienttest.Code)})
			if !errors.Is(err, want.err) {
				t.Errorf("%s: %v, want %v", to, err, want.err)
			}
			if got, err := c.GetChallenge(ctx, started.ID); err != nil || got.Status != want.status {
				t.Errorf("%s: %+v, %v, want %s", to, got, err, want.status)
			}
		}
	}
}
