package enginetest_test

import (
	"context"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/magiclink"
)

// messageChecker is a CheckMessage that refuses SMS and records its messages.
type messageChecker struct{ asked []watchword.Message }

func (r *messageChecker) check(m watchword.Message) error {
	r.asked = append(r.asked, m)
	if m.Channel != "sms" {
		return nil
	}
	return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: "transaction", Reason: "is too long"}}}
}

// startCounter is a Limiter that only counts.
type startCounter int

func (c *startCounter) Take(context.Context, ...watchword.Bucket) error { *c++; return nil }

func TestStartRefusesUncountedMessageThatHidesTransaction(t *testing.T) {
	var asked messageChecker
	var counted startCounter
	k := newKit(t, func(c *watchword.Config) { c.CheckMessage, c.Starts = asked.check, &counted })
	req := startByEmail()
	req.Channel, req.To = "sms", alicePhone
	k.start(req)
	if len(asked.asked) != 0 || counted != 1 {
		t.Fatalf("without a transaction: asked %d times, counted %d", len(asked.asked), counted)
	}
	req.Transaction = map[string]string{"action": "change IBAN"}
	for _, decoy := range []bool{false, true} {
		req.Decoy = decoy
		_, err := k.Start(t.Context(), req)
		if e := k.requireCode(err, watchword.ErrInvalidRequest); len(e.Fields) != 1 || e.Fields[0].Field != "transaction" {
			t.Errorf("%+v", e.Fields)
		}
	}
	if counted != 1 || len(k.outbox.list()) != 1 || len(asked.asked) != 2 {
		t.Errorf("counted %d, sent %d, asked %d times", counted, len(k.outbox.list()), len(asked.asked))
	}
	req.Decoy, req.Channel = false, "voice"
	started := k.start(req)
	sent, err := k.ComposeMessage(t.Context(), k.outbox.last(started.ID))
	if err != nil {
		t.Fatal(err)
	}
	m := asked.asked[2]
	if m.Code.Reveal() != sent.Code.Reveal() || m.Channel != "voice" || m.Transaction["action"] != "change IBAN" || m.ChallengeID != started.ID || !m.ExpiresAt.Equal(sent.ExpiresAt) || m.App != sent.App {
		t.Errorf("asked about %+v, sent %+v", m, sent)
	}
}

func TestResendRefusesUncountedChannelThatHidesTransaction(t *testing.T) {
	var asked messageChecker
	var counted startCounter
	k := newKit(t, func(c *watchword.Config) { c.CheckMessage, c.Starts = asked.check, &counted })
	req := startByEmail()
	req.Channel, req.To, req.Transaction = "voice", alicePhone, map[string]string{"action": "change IBAN"}
	started := k.start(req)
	k.clock.advance(31 * time.Second)
	_, err := k.Resend(t.Context(), started.ID, watchword.ResendRequest{Channel: "sms"})
	if e := k.requireCode(err, watchword.ErrInvalidRequest); len(e.Fields) != 1 || e.Fields[0].Field != "channel" {
		t.Errorf("%+v", e.Fields)
	}
	view, err := k.Resend(t.Context(), started.ID, watchword.ResendRequest{Channel: "voice"})
	if err != nil || view.SendsLeft != 3 || counted != 2 || len(k.outbox.list()) != 2 {
		t.Errorf("%v: %d sends left, counted %d, sent %d", err, view.SendsLeft, counted, len(k.outbox.list()))
	}
}

// A channel that the strategy does not use is refused as it is at a start.
func TestResendRefusesChannelOfAnotherStrategy(t *testing.T) {
	links, err := magiclink.New(magiclink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var counted startCounter
	k := newKit(t, func(c *watchword.Config) { c.Strategies, c.Starts = append(c.Strategies, links), &counted })
	req := startByEmail()
	req.Strategy, req.Channel, req.To = "magiclink", "sms", alicePhone
	started := k.start(req)
	k.clock.advance(31 * time.Second)
	_, err = k.Resend(t.Context(), started.ID, watchword.ResendRequest{Channel: "voice"})
	if e := k.requireCode(err, watchword.ErrInvalidRequest); len(e.Fields) != 1 || e.Fields[0].Field != "channel" || counted != 1 {
		t.Errorf("%+v, counted %d", e.Fields, counted)
	}
}
