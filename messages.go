package watchword

import (
	"context"
	"errors"
	"time"
)

// Outgoing names a message that has to be sent, or something else that is due for a challenge or a verification. An outbox that
// several processes share stores Kind, ChallengeID, Send, Attempt and Due. In the process that created it, an Outgoing can also hold
// the content of the challenge; see IDs.
type Outgoing struct {
	Kind        OutgoingKind
	ChallengeID string    // or the id of a verification, with an event's kind
	Send        int       // number of the send in its challenge; after a resend, the messages of earlier sends are no longer wanted
	Attempt     int       // how often it was retried
	Due         time.Time // when it is due, by the engine's clock; zero: at once
	Claim       string    // set by Outbox.Claim: names the claimed element for Done, Retry and Bury
	Channel     string    // of the message, for the shares of an outbox in this process; empty: unknown
	Direct      bool      // claimed for the worker of this process in the step that queues it; see DirectOutbox

	fresh             *record             // the record as this process has written it last, so that it need not be read; may be nil
	freshVerification *verificationRecord // the same of a verification
}

// An OutgoingKind is what has to be done when an Outgoing is due.
type OutgoingKind string

// KindMessage is the message of a send. ComposeMessage returns ErrNotFound for unknown kinds.
const KindMessage OutgoingKind = ""

// IDs returns the Outgoing without the data that this process keeps in memory. Composing its message reads the challenge
// again.
func (o Outgoing) IDs() Outgoing {
	o.fresh, o.freshVerification = nil, nil
	return o
}

// Composed returns the Outgoing with what composing its message has read and written, so that RecordDelivery and AllowRetry need
// not read the challenge again.
func (o Outgoing) Composed(m Message) Outgoing {
	o.fresh = m.claimed
	return o
}

// A Message is a message to a person. Title, Text, HTML and Language are empty until it was rendered.
type Message struct {
	ID          string // the same for each attempt of one send
	ChallengeID string
	Send        int    // number of the challenge's send; with ChallengeID it names the Outgoing for Engine.RecordDelivery
	App         string // the app's name for people
	Channel     string
	To          string // canonical address
	Locale      string
	Purpose     string
	Subject     string
	Code        Code
	Link        Code      // the whole URL; zero: none
	Origin      string    // Config.SMSOrigin
	RequestedAt time.Time // when the start or the resend asked for it
	ExpiresAt   time.Time
	Lifetime    time.Duration // from creation to ExpiresAt
	Transaction map[string]string
	Client      Client

	Title    string // subject line of an email
	Text     string
	HTML     string
	Language string // BCP 47 tag of the rendered text, the closest one to Locale

	// Tried are the ids of the channel's senders that are not asked: one of them has accepted the message and not delivered it, and
	// the others were asked before it.
	Tried []string

	claimed *record                     // the record in which the send was claimed; nil if no claim is needed
	wanted  func(context.Context) error // what StillWanted returns; nil if no engine has composed the message
}

// StillWanted looks again whether a message that was composed may be sent. A sender that calls a provider calls it before each call
// but the first one, because calls take time: the challenge may have ended meanwhile, or another message may have been requested.
// ErrClosed, ErrExpired and ErrNotFound mean that the message must not be sent any more, and any other error that this is unknown. It
// reads the challenge from the store.
func (m Message) StillWanted(ctx context.Context) error {
	if m.wanted == nil {
		return nil
	}
	return m.wanted(ctx)
}

// Sent is the acknowledgement of a provider.
type Sent struct {
	Provider  string
	Reference string // the provider's id of the message

	Sender string   // id of the sender in its channel
	Tried  []string // ids of the senders of the channel that were asked before it, those of Message.Tried included
}

// ComposeMessage returns the message of an Outgoing for the worker of the outbox. It reads the challenge and derives the code
// again. ErrClosed, ErrExpired and ErrNotFound mean that the message is no longer wanted. The message is not rendered.
//
// If the store is the outbox, ComposeMessage also claims the send in the encrypted challenge, by compare-and-set. The message must
// then be sent within SendTimeout, and AllowRetry called if that has failed. A *ClaimedError means that another try of this send
// may still be in flight, or that the time of the next one has not come.
func (e *Engine) ComposeMessage(ctx context.Context, o Outgoing) (Message, error) {
	m, err := e.compose(ctx, o)
	if err == nil {
		ids := o.IDs()
		m.wanted = func(ctx context.Context) error { return e.checkWanted(ctx, ids) }
	}
	return m, err
}

// checkWanted returns ErrExpired or ErrClosed if the message of a try in flight is not wanted any more. A report of a sender that this
// try has asked does not end it, unless the message was delivered.
func (e *Engine) checkWanted(ctx context.Context, o Outgoing) error {
	if o.Kind == KindFailover {
		_, err := e.readForFailover(ctx, o)
		return err
	}
	rec, status, err := e.readOutgoing(ctx, o)
	if err != nil {
		return err
	}
	arrived := rec.Delivery.Status == DeliveryDelivered || rec.Delivery.Status == DeliverySent && !rec.Failover.awaitsOutcome()
	if rec.Sends != o.Send || arrived {
		return ErrClosed
	}
	return endedError(status)
}

// endedError returns ErrExpired or ErrClosed if a challenge with the status gets no message any more.
func endedError(status Status) error {
	switch status {
	case Pending:
		return nil
	case Expired:
		return ErrExpired
	}
	return ErrClosed
}

// compose is ComposeMessage but for what StillWanted needs.
func (e *Engine) compose(ctx context.Context, o Outgoing) (Message, error) {
	switch {
	case o.Kind == KindFailover:
		return e.composeFailover(ctx, o)
	case o.Kind == KindFallback:
		return Message{}, e.openFallback(ctx, o)
	case o.Kind != KindMessage:
		return Message{}, ErrNotFound
	case e.cfg.Outbox == nil:
		return e.composeClaimed(ctx, o)
	}
	rec := o.fresh
	if rec == nil || o.Attempt > 0 || e.isStale(rec) {
		var err error
		if rec, err = e.readForSend(ctx, o); err != nil {
			return Message{}, err
		}
	}
	return e.composeRecord(ctx, o, rec)
}

// composeRecord returns the message of a record. It records the message of a decoy, or of a test identity, as sent.
func (e *Engine) composeRecord(ctx context.Context, o Outgoing, rec *record) (Message, error) {
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
	_, ended := e.tombstonesOf(rec.id).Find(rec.id.random, tombstoneChallenge)
	return ended || e.cfg.Clock().Sub(rec.SentAt) >= freshTime
}

// readOutgoing reads the challenge of a message, and its status; ErrNotFound.
func (e *Engine) readOutgoing(ctx context.Context, o Outgoing) (*record, Status, error) {
	id, err := e.parse(o.ChallengeID)
	if err != nil {
		return nil, "", ErrNotFound
	}
	entry, rec, err := e.read(ctx, id)
	if errors.Is(err, ErrUnknownChallenge) {
		return nil, "", ErrNotFound
	}
	if err != nil {
		return nil, "", err
	}
	status, _ := e.status(rec, entry)
	return rec, status, nil
}

// readForSend reads a challenge and returns ErrExpired or ErrClosed if this send is not wanted any more.
func (e *Engine) readForSend(ctx context.Context, o Outgoing) (*record, error) {
	rec, status, err := e.readOutgoing(ctx, o)
	if err != nil {
		return nil, err
	}
	if rec.Sends != o.Send || deliveryOrder[rec.Delivery.Status] >= deliveryOrder[DeliverySent] {
		return nil, ErrClosed
	}
	return rec, endedError(status)
}

func (e *Engine) composeMessage(rec *record, p Prompt) Message {
	m := e.messageOf(&rec.Challenge, p)
	m.ID = rec.messageID()
	return m
}

// messageOf returns the message of a challenge without its id.
func (e *Engine) messageOf(c *Challenge, p Prompt) Message {
	m := Message{ChallengeID: c.ID, Send: c.Sends, App: e.cfg.Name, Channel: c.Channel, To: c.Address, Locale: c.Locale,
		Purpose: c.Purpose, Subject: c.Subject, Code: p.Code, RequestedAt: c.SentAt, ExpiresAt: c.ExpiresAt, Lifetime: c.ExpiresAt.Sub(c.CreatedAt),
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
