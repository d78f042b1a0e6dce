package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A ResendRequest asks for another message of a challenge.
type ResendRequest struct {
	Channel string // to send by; empty: the challenge's channel

	// Seed, if set, names the request. A repetition with the same seed sends nothing twice.
	Seed []byte
}

// Resend queues another message of a pending challenge. It contains the same code, or a new one if Config.NewCodes is set.
// Tries and guess budget do not change. A resend that fails is refunded to the limits. The errors are ErrResendTooSoon,
// ErrSendsExhausted, ErrRateLimited and those of a challenge that has ended.
func (e *Engine) Resend(ctx context.Context, id string, req ResendRequest) (View, error) {
	parsed, err := e.parseWhole(ctx, id)
	if err != nil {
		return View{}, err
	}
	return e.resend(ctx, parsed, req)
}

// resend queues another message of a challenge, also if it is part of a verification.
func (e *Engine) resend(ctx context.Context, parsed challengeID, req ResendRequest) (View, error) {
	requestID := e.newRequestID(req.Seed)
	r := &resendAttempt{engine: e, id: parsed, requestID: requestID, channel: req.Channel}
	for range maxConflictRetries {
		view, err := r.attemptOnce(ctx)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil && r.charged {
			e.refundStart(ctx, r.charges)
		}
		return view, err
	}
	e.refundStart(ctx, r.charges)
	return View{}, unavailable(fmt.Errorf("a challenge kept changing: %w", ErrConflict))
}

// resendAttempt is one request to resend, which may read the challenge several times.
type resendAttempt struct {
	engine    *Engine
	id        challengeID
	requestID requestID
	channel   string
	charges   limitCharges // of the limits, made once
	charged   bool
}

// attemptOnce reads the challenge and sends again; ErrConflict if the challenge was changed meanwhile.
func (r *resendAttempt) attemptOnce(ctx context.Context) (View, error) {
	e := r.engine
	s := r.id.strategy
	entry, rec, err := e.read(ctx, r.id)
	if err != nil {
		return View{}, err
	}
	if rec.ResentBy == r.requestID {
		return e.repeatResend(ctx, rec, entry)
	}
	original := rec.Challenge
	to, err := e.resendable(rec, entry, r.channel)
	if err != nil {
		return View{}, err
	}
	if !r.charged {
		if err := e.checkChannel(ctx, s, original, r.channel); err != nil {
			return View{}, err
		}
		req := StartRequest{Subject: rec.Subject, Channel: rec.Channel, Client: rec.Client}
		if r.charges, err = e.chargeStart(ctx, s.Properties(), req, to); err != nil {
			return View{}, err
		}
		r.charged = true
	}
	rec.ResentBy = r.requestID
	switch err := e.sendAgain(ctx, s, rec); {
	case err == nil:
		return e.view(rec, entry), nil
	case errors.Is(err, ErrConflict):
		return View{}, err
	case errors.Is(err, ErrNotFound):
		return View{}, ErrUnknownChallenge
	default:
		return View{}, unavailable(err)
	}
}

// repeatResend answers the repetition of a request. It queues the message again unless it was sent.
func (e *Engine) repeatResend(ctx context.Context, rec *record, entry Entry) (View, error) {
	if status, _ := e.status(rec, entry); status != Pending {
		return View{}, closedError(status)
	}
	if e.cfg.Outbox != nil && deliveryOrder[rec.Delivery.Status] <= deliveryOrder[DeliveryQueued] {
		if err := e.cfg.Outbox.Put(ctx, Outgoing{ChallengeID: rec.ID, Send: rec.Sends, Channel: rec.Channel}); err != nil {
			return View{}, unavailable(err)
		}
	}
	return e.view(rec, entry), nil
}

// resendable returns the address for another message, after it has set the challenge's channel to the requested one.
func (e *Engine) resendable(rec *record, entry Entry, channel string) (Address, error) {
	now := e.cfg.Clock()
	status, _ := e.status(rec, entry)
	switch at := e.resendAt(&rec.Challenge); {
	case status != Pending:
		return Address{}, closedError(status)
	case rec.Sends == 0:
		return Address{}, invalid("strategy", "nothing is sent with this strategy")
	case channel != "" && !e.channels[channel]:
		return Address{}, invalid("channel", notListed("can send by", e.channels))
	case rec.Sends >= e.cfg.Sends:
		return Address{}, ErrSendsExhausted
	case now.Before(at):
		return Address{}, &Error{Code: ErrResendTooSoon.Code, RetryAfter: at.Sub(now)}
	}
	if channel != "" {
		rec.Channel = channel
	}
	to, err := e.addressOf(rec.Channel, rec.Address)
	if errors.Is(err, ErrInvalidRequest) || err == nil && to.Value != rec.Address {
		err = invalid("channel", "does not reach this address")
	}
	return to, err
}

// sendAgain counts one more send, replaces the digests if the code is a new one, and queues the message.
func (e *Engine) sendAgain(ctx context.Context, s Strategy, rec *record) error {
	rec.Sends++
	rec.SentAt = e.cfg.Clock().UTC().Truncate(time.Millisecond)
	rec.Delivery = Delivery{Status: DeliveryQueued} // LastChannel keeps the channel of an earlier message
	rec.SendClaim, rec.Failover, rec.FallbackDueAt = sendClaim{}, failover{}, time.Time{}
	if e.cfg.NewCodes {
		rec.CodeSend = rec.Sends
	}
	prompt, err := s.Begin(ctx, &rec.Challenge)
	if err != nil {
		return err
	}
	if e.cfg.NewCodes {
		if rec.Digests, err = e.acceptedDigests(&rec.Challenge, prompt); err != nil {
			return err
		}
	}
	return e.updateAndEnqueue(ctx, rec, Outgoing{ChallengeID: rec.ID, Send: rec.Sends, Channel: rec.Channel})
}

// resendAt returns the earliest time of the next message. The cool-down doubles with each send; a message that was not delivered
// has none.
func (e *Engine) resendAt(c *Challenge) time.Time {
	if c.Delivery.Status == DeliveryFailed {
		return c.SentAt
	}
	return c.SentAt.Add(e.cfg.Cooldown << min(max(c.Sends-1, 0), 16))
}
