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
	parsed, err := e.parse(id)
	if err != nil {
		return View{}, err
	}
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
		if err := e.cfg.Outbox.Put(ctx, Outgoing{ChallengeID: rec.ID, Send: rec.Sends}); err != nil {
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
	rec.Delivery = Delivery{Status: DeliveryQueued} // SentBy keeps the channel of an earlier message
	if e.cfg.NewCodes {
		rec.CodeOf = rec.Sends
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
	out := Outgoing{ChallengeID: rec.ID, Send: rec.Sends}
	if e.cfg.Outbox == nil {
		return e.update(ctx, rec, out)
	}
	if err := e.update(ctx, rec); err != nil {
		return err
	}
	rec.version++
	return e.enqueue(ctx, out, rec)
}

// resendAt returns the earliest time of the next message. The cool-down doubles with each send.
func (e *Engine) resendAt(c *Challenge) time.Time {
	return c.SentAt.Add(e.cfg.Cooldown << min(max(c.Sends-1, 0), 16))
}

// ComposeMessage returns the message of an Outgoing for the worker of the outbox. It reads the challenge and derives the code
// again. ErrClosed, ErrExpired and ErrNotFound mean that the message is no longer wanted. The message is not rendered.
func (e *Engine) ComposeMessage(ctx context.Context, o Outgoing) (Message, error) {
	rec := o.fresh
	if rec == nil || o.Attempt > 0 || e.isStale(rec) {
		var err error
		if rec, err = e.readForSend(ctx, o); err != nil {
			return Message{}, err
		}
	}
	if !e.cfg.Clock().Before(rec.ExpiresAt) {
		return Message{}, ErrExpired
	}
	c := rec.Challenge // a copy: the starter may still read the fresh one
	prompt, err := rec.id.strategy.Begin(ctx, &c)
	if err != nil {
		return Message{}, err
	}
	if prompt.Silent || rec.Decoy {
		if err := e.RecordDelivery(ctx, o, Delivery{Status: DeliverySent, Provider: e.cfg.ProviderName(rec.Channel), Channel: rec.Channel}); err != nil {
			return Message{}, err
		}
		return Message{}, ErrClosed
	}
	return e.composeMessage(rec, prompt), nil
}

// freshTime is how long a record that this process has written is used without reading it again. No cool-down is shorter, so
// no later message can have been requested within it.
const freshTime = time.Second

// isStale reports whether a record that this process has written may have changed: the challenge ended here, or freshTime is
// over.
func (e *Engine) isStale(rec *record) bool {
	_, ended := e.tombstones.Find(rec.id.random, tombstoneChallenge)
	return ended || e.cfg.Clock().Sub(rec.SentAt) >= freshTime
}

// readForSend reads a challenge and returns ErrExpired or ErrClosed if this send is not wanted any more.
func (e *Engine) readForSend(ctx context.Context, o Outgoing) (*record, error) {
	id, err := e.parse(o.ChallengeID)
	if err != nil {
		return nil, ErrNotFound
	}
	entry, rec, err := e.read(ctx, id)
	if errors.Is(err, ErrUnknownChallenge) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	switch status, _ := e.status(rec, entry); {
	case status == Expired:
		return nil, ErrExpired
	case status != Pending || rec.Sends != o.Send || deliveryOrder[rec.Delivery.Status] >= deliveryOrder[DeliverySent]:
		return nil, ErrClosed
	}
	return rec, nil
}

func (e *Engine) composeMessage(rec *record, p Prompt) Message {
	m := e.messageOf(&rec.Challenge, p)
	m.ID = rec.messageID()
	return m
}

// messageOf returns the message of a challenge without its id.
func (e *Engine) messageOf(c *Challenge, p Prompt) Message {
	m := Message{ChallengeID: c.ID, Send: c.Sends, App: e.cfg.Name, Channel: c.Channel, To: c.Address, Locale: c.Locale,
		Purpose: c.Purpose, Subject: c.Subject, Code: p.Code, ExpiresAt: c.ExpiresAt, Lifetime: c.ExpiresAt.Sub(c.CreatedAt),
		Transaction: c.Transaction, Client: c.Client, Origin: e.cfg.SMSOrigin}
	if !p.Link.IsZero() {
		m.Link = NewCode(e.cfg.Issuer + "/l/" + c.ID + "#" + p.Link.Reveal())
	}
	return m
}

// checkMessage returns the error of Config.CheckMessage for the message of a challenge with a transaction.
func (e *Engine) checkMessage(c *Challenge, p Prompt) error {
	if e.cfg.CheckMessage == nil || c.Sends == 0 || len(c.Transaction) == 0 {
		return nil
	}
	return e.cfg.CheckMessage(e.messageOf(c, p))
}

// checkChannel returns an error if the message of a challenge cannot be sent by another channel, because it would not show
// the transaction.
func (e *Engine) checkChannel(ctx context.Context, s Strategy, c Challenge, channel string) error {
	if channel == "" || channel == c.Channel {
		return nil
	}
	c.Channel = channel
	prompt, err := s.Begin(ctx, &c)
	if err == nil {
		err = e.checkMessage(&c, prompt)
	}
	if errors.Is(err, ErrInvalidRequest) {
		return invalid("channel", "cannot carry this challenge's message")
	}
	return err
}

// messageID returns the id of a send, the same for each attempt to deliver it.
func (r *record) messageID() string {
	sum := r.key.handles.sum("message", r.ID, string([]byte{byte(r.Sends)}))
	return "msg_" + b64.EncodeToString(sum[:16])
}

// deliveryOrder ensures that a delivery's status is only replaced by a later one.
var deliveryOrder = map[string]int{"": 0, DeliveryQueued: 1, DeliverySent: 2, DeliveryFailed: 3, DeliveryDelivered: 4}

// RecordDelivery stores the delivery status of a message. It ignores the status of an older send and a status that is not
// later than the stored one. ErrNotFound if the challenge is unknown.
func (e *Engine) RecordDelivery(ctx context.Context, o Outgoing, d Delivery) error {
	id, err := e.parse(o.ChallengeID)
	if err != nil {
		return ErrNotFound
	}
	var challenge Challenge
	var repeated bool
	edit := func(rec *record, _ Entry) error {
		if rec.Sends != o.Send || deliveryOrder[d.Status] <= deliveryOrder[rec.Delivery.Status] {
			return ErrClosed
		}
		challenge, repeated = Challenge{ID: o.ChallengeID, Channel: d.Channel, prefix: rec.prefix, CreatedAt: rec.CreatedAt}, rec.SentBy != ""
		if rec.Delivery = d; d.Status != DeliveryFailed {
			rec.SentBy = d.Channel
		}
		return nil
	}
	err = e.recordFresh(ctx, o, edit)
	if errors.Is(err, ErrConflict) {
		err = e.updateRecord(ctx, id, edit)
	}
	if errors.Is(err, ErrClosed) {
		return nil // nothing new
	}
	if err == nil {
		e.emitDelivery(ctx, &challenge, d, repeated)
	}
	return err
}

// recordFresh edits the record that this process has just written without reading it; ErrConflict if it has changed.
func (e *Engine) recordFresh(ctx context.Context, o Outgoing, edit func(*record, Entry) error) error {
	if o.fresh == nil || o.Attempt > 0 {
		return ErrConflict
	}
	rec := *o.fresh
	if err := edit(&rec, Entry{}); err != nil {
		return err
	}
	err := e.update(ctx, &rec)
	if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotFound) {
		return unavailable(err)
	}
	return err
}

func (e *Engine) emitDelivery(ctx context.Context, c *Challenge, d Delivery, repeated bool) {
	eventType := map[string]string{DeliverySent: EventMessageSent, DeliveryDelivered: EventMessageDelivered, DeliveryFailed: EventMessageFailed}[d.Status]
	if eventType == "" {
		return
	}
	e.emit(ctx, eventType, c, func(ev *Event) { ev.Provider, ev.Repeated = d.Provider, repeated })
}
