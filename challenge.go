package watchword

import (
	"context"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// Purposes that mean something to the engine. An app may use others, of the form [a-z0-9_]{1,40}.
const (
	PurposeSignIn        = "sign_in"
	PurposeMFA           = "mfa"
	PurposePasswordReset = "password_reset"
	PurposeEnrol         = "enrol"
	PurposeManageFactors = "manage_factors"
)

// A Challenge is one question put to one subject, answerable once.
type Challenge struct {
	ID          string
	Strategy    string
	Purpose     string
	Subject     string
	Channel     string
	Address     string // canonical
	SentTo      string // masked
	Locale      string
	ReturnURL   string
	Nonce       string
	Label       string // of what is enrolled
	Factor      string // the one factor that may answer, or that did
	Transaction map[string]string
	Metadata    map[string]string
	Client      Client
	CreatedAt   time.Time
	ExpiresAt   time.Time
	Ask         Ask
	Decoy       bool
	Enrolment   *enrolment

	Sends    int       // messages asked for so far
	SentAt   time.Time // when the last one was asked for
	CodeOf   int       // which send's code is in force; it moves when each resend brings a new one
	Delivery Delivery
	SentBy   string // the channel by which a message was last accepted; empty: by none so far

	// Data is what the strategy must remember. It is sealed like the rest.
	Data []byte

	prefix string // of the number that its messages go to; empty: they go to none, or only look sent

	env   *environment
	salt  []byte
	key   *ringKey
	reads *factorReads // of one evaluation; nil: nobody asks
}

// A Client is whom the app is serving; limits use it, and pages say from where a challenge was started.
type Client struct {
	IP        string
	UserAgent string
	Known     bool // the app recognises the device: it has budgets and limits of its own
}

// A Delivery is what became of the last message.
type Delivery struct {
	Status   string // queued, sent, delivered, failed
	Provider string // from sent on
	Channel  string // by which it was sent
}

// The statuses of a delivery; they only move on in this order.
const (
	DeliveryQueued    = "queued"
	DeliverySent      = "sent"
	DeliveryDelivered = "delivered"
	DeliveryFailed    = "failed"
)

// An enrolment is what allowed it to begin. It is looked at again when it ends: authority dies with the factor that it
// was earned by, and with its subject, and what is active may have changed.
type enrolment struct {
	Proof    int    // the strength of the proof; 0: nothing was enrolled, so none was needed
	Factor   string // that the proof was earned by; empty: by none
	FactorOf string // the challenge that had enrolled it: an id may be used again
	Life     string // of the subject's set of factors; empty: there was none

	began time.Time // when it was earned: a subject that was removed since has lost it
}

func (n *enrolment) fields(f *codec.Codec) {
	f.Number(&n.Proof)
	for _, text := range []*string{&n.Factor, &n.FactorOf, &n.Life} {
		f.Text(text)
	}
}

// A Status is what became of a challenge.
type Status string

// The statuses.
const (
	Pending  Status = "pending"
	Approved Status = "approved"
	Expired  Status = "expired"
	Canceled Status = "canceled"
	Locked   Status = "locked"
)

// fields lists what an entry seals of a challenge.
func (c *Challenge) fields(f *codec.Codec) {
	for _, text := range []*string{&c.Strategy, &c.Purpose, &c.Subject, &c.Channel, &c.Address, &c.SentTo, &c.Locale, &c.ReturnURL, &c.Nonce, &c.Label,
		&c.Factor, (*string)(&c.Ask), &c.Client.IP, &c.Client.UserAgent, &c.Delivery.Status, &c.Delivery.Provider, &c.Delivery.Channel, &c.SentBy} {
		f.Text(text)
	}
	f.Texts(&c.Transaction)
	f.Texts(&c.Metadata)
	for _, moment := range []*time.Time{&c.CreatedAt, &c.ExpiresAt, &c.SentAt} {
		f.Moment(moment)
	}
	for _, flag := range []*bool{&c.Client.Known, &c.Decoy} {
		f.Flag(flag)
	}
	codec.Optional(f, &c.Enrolment, (*enrolment).fields)
	f.Number(&c.Sends)
	f.Number(&c.CodeOf)
	f.Bytes(&c.Data)
}

// environment is what the engine lends a challenge's strategy: time, randomness and the app's factors.
type environment struct {
	now     func() time.Time
	random  func(n int) ([]byte, error)
	factors *factorStore
	app     string
	decoy   func(ctx context.Context, c *Challenge) (*Factor, error)
}

// Now is the engine's clock.
func (c *Challenge) Now() time.Time { return c.env.now() }

// Random returns n bytes of the engine's random source.
func (c *Challenge) Random(n int) ([]byte, error) { return c.env.random(n) }

// App is the tenant's id.
func (c *Challenge) App() string { return c.env.app }

// DeriveCode returns n symbols of the alphabet, uniformly distributed and always the same for the same challenge, send
// and label: PRF(key, id | label | purpose | transaction | salt). Leading zeros are kept. The alphabet is ASCII of 2 to
// 256 symbols.
func (c *Challenge) DeriveCode(label, alphabet string, n int) Code {
	return NewCode(uniform(c.stream(label), alphabet, n))
}

// DeriveBytes returns n ≤ 32 bytes, always the same for the same challenge, send and label.
func (c *Challenge) DeriveBytes(label string, n int) []byte {
	block := c.stream(label)(0)
	return block[:n]
}

// DeriveStableCode is DeriveCode, but stays the same when a resend brings a new code: for what stands on a screen.
func (c *Challenge) DeriveStableCode(label, alphabet string, n int) Code {
	lasting := *c
	lasting.CodeOf = 0
	return lasting.DeriveCode(label, alphabet, n)
}

func (c *Challenge) stream(label string) func(counter byte) [32]byte {
	transaction := codec.CanonicalMap(c.Transaction)
	return func(counter byte) [32]byte {
		return c.key.codes.sum(label, c.ID, c.Purpose, transaction, string(c.salt), string([]byte{byte(c.CodeOf), counter}))
	}
}

// SentChannel is the channel by which the code really went: the one that last took a message or, while none has, the one
// that was asked for.
func (c *Challenge) SentChannel() string {
	if c.SentBy != "" {
		return c.SentBy
	}
	return c.Channel
}

// Factors lists what the challenge's subject has enrolled with its strategy, disabled ones included. Of a decoy it is the
// one factor of a DecoyMaker, which nobody has.
func (c *Challenge) Factors(ctx context.Context) ([]Factor, error) {
	if c.Decoy && c.Purpose != PurposeEnrol {
		if f, err := c.env.decoy(ctx, c); err != nil {
			return nil, err
		} else if f != nil {
			return []Factor{*f}, nil
		}
	}
	if c.reads != nil && c.reads.listed {
		return slices.Clone(c.reads.factors), nil
	}
	all, err := c.env.factors.list(ctx, c.Subject, c.Strategy)
	if err == nil && c.reads != nil {
		c.reads.listed, c.reads.factors = true, append(c.reads.factors, all...)
	}
	return slices.Clone(all), err
}

// FindFactor reads one factor of the app by its id, whoever its subject is: ErrNotFound.
func (c *Challenge) FindFactor(ctx context.Context, id string) (Factor, error) {
	f, err := c.env.factors.get(ctx, id)
	if err == nil && c.reads != nil {
		c.reads.factors = append(c.reads.factors, f)
	}
	return f, err
}

// factorReads are the factors that one evaluation of an answer has read: the strategy and the engine look at the same.
type factorReads struct {
	listed  bool
	factors []Factor
}
