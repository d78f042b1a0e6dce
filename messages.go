package watchword

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A ResendRequest asks for the message again.
type ResendRequest struct {
	Channel string // another one; empty: the one that the challenge has

	// Seed, if set, names this request: the same one again, after its answer was lost, sends nothing twice.
	Seed []byte
}

// Resend sends the message again. It is the same code, though nothing of it is stored, unless Config.NewCodes asks for a new
// one. Budgets and tries stay as they are. What was not sent does not count in the limits.
func (e *Engine) Resend(ctx context.Context, id string, req ResendRequest) (View, error) {
	i, err := e.parse(id)
	if err != nil {
		return View{}, err
	}
	by := e.newAttempt(req.Seed)
	r := &resendAttempt{engine: e, id: i, by: by, channel: req.Channel}
	for range casTries {
		view, err := r.attemptOnce(ctx)
		if errors.Is(err, ErrConflict) {
			continue
		}
		if err != nil && r.charged {
			e.refundStart(ctx, r.charge)
		}
		return view, err
	}
	e.refundStart(ctx, r.charge)
	return View{}, unavailable(fmt.Errorf("a challenge kept changing: %w", ErrConflict))
}

// resendAttempt is one request to send again, however often the challenge is read for it.
type resendAttempt struct {
	engine  *Engine
	id      challengeID
	by      attemptID
	channel string
	charge  startCharge // from the limits, once
	charged bool
}

// attemptOnce reads the challenge and sends again; ErrConflict if somebody else changed it meanwhile.
func (r *resendAttempt) attemptOnce(ctx context.Context) (View, error) {
	e := r.engine
	s := r.id.strategy
	entry, rec, err := e.read(ctx, r.id)
	if err != nil {
		return View{}, err
	}
	if rec.ResentBy == r.by {
		return e.repeatResend(ctx, rec, entry)
	}
	before := rec.Challenge
	to, err := e.resendable(rec, entry, r.channel)
	if err != nil {
		return View{}, err
	}
	if !r.charged {
		if err := e.checkChannel(ctx, s, before, r.channel); err != nil {
			return View{}, err
		}
		req := StartRequest{Subject: rec.Subject, Channel: rec.Channel, Client: rec.Client}
		if r.charge, err = e.chargeStart(ctx, s.Properties(), req, to); err != nil {
			return View{}, err
		}
		r.charged = true
	}
	rec.ResentBy = r.by
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

// repeatResend answers for a request that was taken before, and whose message may never have been handed over.
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

// resendable says where another message may go now, with the channel changed if another one is named.
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

// sendAgain counts one more send, brings the digests up to date if it has a new code, and hands the message over.
func (e *Engine) sendAgain(ctx context.Context, s Strategy, rec *record) error {
	rec.Sends++
	rec.SentAt = e.cfg.Clock().UTC().Truncate(time.Millisecond)
	rec.Delivery = Delivery{Status: DeliveryQueued} // by which channel the code went already, SentBy knows
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
	return e.handOver(ctx, out, rec)
}

// resendAt is when the next message may be asked for: the cool-down doubles with each send.
func (e *Engine) resendAt(c *Challenge) time.Time {
	return c.SentAt.Add(e.cfg.Cooldown << min(max(c.Sends-1, 0), 16))
}

// ComposeMessage is for whoever works the outbox: it reads the challenge and derives what must be sent. ErrClosed, ErrExpired
// and ErrNotFound mean that the message is not wanted any more. The message is not rendered yet.
func (e *Engine) ComposeMessage(ctx context.Context, o Outgoing) (Message, error) {
	rec := o.fresh
	if rec == nil || o.Attempt > 0 || e.isStale(rec) {
		var err error
		if rec, err = e.readWanted(ctx, o); err != nil {
			return Message{}, err
		}
	}
	if !e.cfg.Clock().Before(rec.ExpiresAt) {
		return Message{}, ErrExpired
	}
	c := rec.Challenge // its own: the starter may still be reading the fresh one
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

// freshTime is how long what was just written is taken for what is there. No cool-down is shorter, so no later message
// can have been asked for within it.
const freshTime = time.Second

// isStale reports whether a challenge that this process has written may have changed: it ended here, or it is long enough
// ago that somebody may have ended it elsewhere or asked for another message.
func (e *Engine) isStale(rec *record) bool {
	_, ended := e.tombstones.Find(rec.id.rand, endChallenge)
	return ended || e.cfg.Clock().Sub(rec.SentAt) >= freshTime
}

// readWanted reads a challenge, and says whether this send is still the one that is waited for.
func (e *Engine) readWanted(ctx context.Context, o Outgoing) (*record, error) {
	i, err := e.parse(o.ChallengeID)
	if err != nil {
		return nil, ErrNotFound
	}
	entry, rec, err := e.read(ctx, i)
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

// messageOf is the message of a challenge, but for its id.
func (e *Engine) messageOf(c *Challenge, p Prompt) Message {
	m := Message{ChallengeID: c.ID, Send: c.Sends, App: e.cfg.Name, Channel: c.Channel, To: c.Address, Locale: c.Locale,
		Purpose: c.Purpose, Subject: c.Subject, Code: p.Code, ExpiresAt: c.ExpiresAt, Lifetime: c.ExpiresAt.Sub(c.CreatedAt),
		Transaction: c.Transaction, Client: c.Client, Origin: e.cfg.SMSOrigin}
	if !p.Link.IsZero() {
		m.Link = NewCode(e.cfg.Issuer + "/l/" + c.ID + "#" + p.Link.Reveal())
	}
	return m
}

// checkMessage reports whether the message of a challenge shows the transaction that it is about.
func (e *Engine) checkMessage(c *Challenge, p Prompt) error {
	if e.cfg.CheckMessage == nil || c.Sends == 0 || len(c.Transaction) == 0 {
		return nil
	}
	return e.cfg.CheckMessage(e.messageOf(c, p))
}

// checkChannel reports whether the message of a challenge would also show its transaction by another channel.
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

// messageID names one send, however often it is tried.
func (r *record) messageID() string {
	sum := r.key.handles.sum("message", r.ID, string([]byte{byte(r.Sends)}))
	return "msg_" + b64.EncodeToString(sum[:16])
}

// deliveryOrder sees to it that a delivery's status only moves on.
var deliveryOrder = map[string]int{"": 0, DeliveryQueued: 1, DeliverySent: 2, DeliveryFailed: 3, DeliveryDelivered: 4}

// RecordDelivery keeps what became of a message. An older send's outcome does not overwrite a newer one's.
func (e *Engine) RecordDelivery(ctx context.Context, o Outgoing, d Delivery) error {
	i, err := e.parse(o.ChallengeID)
	if err != nil {
		return ErrNotFound
	}
	var about Challenge
	var repeated bool
	edit := func(rec *record, _ Entry) error {
		if rec.Sends != o.Send || deliveryOrder[d.Status] <= deliveryOrder[rec.Delivery.Status] {
			return ErrClosed
		}
		about, repeated = Challenge{ID: o.ChallengeID, Channel: d.Channel, prefix: rec.prefix, CreatedAt: rec.CreatedAt}, rec.SentBy != ""
		if rec.Delivery = d; d.Status != DeliveryFailed {
			rec.SentBy = d.Channel
		}
		return nil
	}
	err = e.recordFresh(ctx, o, edit)
	if errors.Is(err, ErrConflict) {
		err = e.updateRecord(ctx, i, edit)
	}
	if errors.Is(err, ErrClosed) {
		return nil // nothing new
	}
	if err == nil {
		e.emitDelivery(ctx, &about, d, repeated)
	}
	return err
}

// recordFresh saves reading what this process has just written; ErrConflict if it is not that any more.
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

func (e *Engine) emitDelivery(ctx context.Context, about *Challenge, d Delivery, repeated bool) {
	kind := map[string]string{DeliverySent: EventMessageSent, DeliveryDelivered: EventMessageDelivered, DeliveryFailed: EventMessageFailed}[d.Status]
	if kind == "" {
		return
	}
	e.emit(ctx, kind, about, func(ev *Event) { ev.Provider, ev.Repeated = d.Provider, repeated })
}
