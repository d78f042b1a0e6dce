package watchword

import (
	"context"
	"slices"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// The purposes that the engine gives a meaning. An app may use others that match [a-z0-9_]{1,40}.
const (
	// PurposeSignIn is a sign-in.
	PurposeSignIn = "sign_in"
	// PurposeMFA is a second step after a sign-in.
	PurposeMFA = "mfa"
	// PurposePasswordReset is the reset of a password.
	PurposePasswordReset = "password_reset"
	// PurposeEnrol enrols a factor; only an Enroller supports it.
	PurposeEnrol = "enrol"
	// PurposeManageFactors authorizes changes of a subject's factors; see Authority.
	PurposeManageFactors = "manage_factors"
)

// A Challenge is one attempt to verify one subject with one strategy. It can be answered once.
type Challenge struct {
	ID          string // as callers see it; not the id of the store's Entry
	Strategy    string
	Purpose     string            // an answer for another purpose is wrong
	Subject     string            // the app's opaque id of the person; may be empty
	Channel     string            // that the starter requested; empty if nothing is sent
	Address     string            // in canonical form; empty if nothing is sent
	SentTo      string            // Address, masked for display
	Locale      string            // BCP 47 tag; may be empty
	ReturnURL   string            // where a hosted page sends the person afterwards; may be empty
	Nonce       string            // copied into the receipt
	Label       string            // of the factor to enrol
	Factor      string            // the id of the only factor that may answer, or of the factor that answered; empty: any
	Transaction map[string]string // what the subject approves; copied into the receipt
	Metadata    map[string]string // the app's own data; copied into views and events
	Client      Client
	CreatedAt   time.Time
	ExpiresAt   time.Time
	Ask         Ask
	Decoy       bool // never approved
	LongLived   bool // a link that may be opened days later, when nobody has the starting screen: no code, and no number to confirm

	Verification string      // id of the verification that the challenge is part of; empty: none
	Require      Requirement // of that verification: what a right answer must prove; a strategy must ask for as much

	Sends       int       // number of messages requested so far
	SentAt      time.Time // when the last message was requested
	CodeSend    int       // number of the send whose code is valid; above 1 only if Config.NewCodes is set; 0: no message is sent
	Delivery    Delivery  // status of the last message
	LastChannel string    // channel of the last message that a provider accepted; empty: none so far

	// Data is for the strategy. The engine encrypts it with the rest of the challenge.
	Data []byte

	enrolment *enrolmentAuthority // what authorizes an enrolment; nil for other purposes

	fallbackAfter time.Duration // how long a report of a message is awaited before another method is opened; zero: none is

	prefix string // prefix of the phone number that messages go to; empty: no message is really sent

	env         *environment
	salt        []byte
	key         *ringKey
	factorReads *factorReads // factors that the current evaluation has read; nil outside an evaluation
}

// A Client is the device that the app serves. Limits count by it, and hosted pages show where a challenge was started.
type Client struct {
	IP        string // without a zone; empty: unknown
	UserAgent string // of the HTTP request; may be empty
	Known     bool   // the app trusts the device, which then has budgets and limits of its own
}

// A Delivery is the state of the last message of a challenge.
type Delivery struct {
	Status   string // DeliveryQueued, DeliverySent, DeliveryDelivered or DeliveryFailed; empty: nothing is sent
	Provider string // set once the message was sent
	Channel  string // that the message was sent by

	Sender string   // id, in the channel, of the sender that accepted the message; empty: unknown
	Tried  []string // ids of the senders that were asked before it
}

// The statuses of a Delivery. A status is only replaced by a later one: queued, sent, failed, delivered.
const (
	DeliveryQueued    = "queued"
	DeliverySent      = "sent"
	DeliveryDelivered = "delivered"
	DeliveryFailed    = "failed"
)

// An enrolmentAuthority is what authorized an enrolment to begin. The engine checks it again when the enrolment ends: the
// authority ends with the factor that earned the proof and with the subject, and the active factors may have changed.
type enrolmentAuthority struct {
	Proof            int    // strength of the proof; 0: the subject had no factors, so no proof was needed
	Factor           string // id of the factor that earned the proof; empty: none
	FactorEnrolledBy string // challenge that enrolled Factor; ids of factors may be used again
	Generation       string // of the subject's factor set; empty: there was no set

	earnedAt time.Time // when the proof was earned; the removal of the subject after that ends the authority
}

func (n *enrolmentAuthority) fields(f *codec.Codec) {
	f.Number(&n.Proof)
	for _, text := range []*string{&n.Factor, &n.FactorEnrolledBy, &n.Generation} {
		f.Text(text)
	}
}

// A Status is the state of a challenge as callers see it.
type Status string

// The statuses of a challenge. Only Pending changes.
const (
	Pending  Status = "pending"
	Approved Status = "approved"
	Expired  Status = "expired"
	Canceled Status = "canceled"
	Locked   Status = "locked"
)

// fields lists the encrypted fields of a challenge.
func (c *Challenge) fields(f *codec.Codec) {
	for _, text := range []*string{&c.Strategy, &c.Purpose, &c.Subject, &c.Channel, &c.Address, &c.SentTo, &c.Locale, &c.ReturnURL, &c.Nonce, &c.Label,
		&c.Factor, (*string)(&c.Ask), &c.Client.IP, &c.Client.UserAgent, &c.Delivery.Status, &c.Delivery.Provider, &c.Delivery.Channel, &c.LastChannel} {
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
	codec.Optional(f, &c.enrolment, (*enrolmentAuthority).fields)
	f.Text(&c.Verification)
	f.Text((*string)(&c.Require))
	f.Flag(&c.LongLived)
	f.Number64((*int64)(&c.fallbackAfter))
	f.Number(&c.Sends)
	f.Number(&c.CodeSend)
	f.Bytes(&c.Data)
}

// environment is what a Challenge gives its strategy: the clock, random bytes and the factors of the app.
type environment struct {
	now     func() time.Time
	random  func(n int) ([]byte, error)
	factors *factorStore
	app     string
	decoy   func(ctx context.Context, c *Challenge) (*Factor, error)
}

// Now returns the time of the engine's clock.
func (c *Challenge) Now() time.Time { return c.env.now() }

// Random returns n bytes of the engine's random source.
func (c *Challenge) Random(n int) ([]byte, error) { return c.env.random(n) }

// App returns the id of the app.
func (c *Challenge) App() string { return c.env.app }

// DeriveCode returns n uniformly distributed symbols of the alphabet: PRF(key, label | id | purpose | transaction | salt |
// send). The result depends on the challenge, the send in CodeOf and the label alone. Leading zeros are kept. The alphabet
// has 2 to 256 ASCII symbols.
func (c *Challenge) DeriveCode(label, alphabet string, n int) Code {
	return NewCode(uniform(c.stream(label), alphabet, n))
}

// DeriveBytes returns n ≤ 32 bytes. The result depends on the challenge, the send in CodeOf and the label alone.
func (c *Challenge) DeriveBytes(label string, n int) []byte {
	block := c.stream(label)(0)
	return block[:n]
}

// DeriveStableCode is DeriveCode with a result that does not change when a resend brings a new code. It is for codes that a
// screen shows.
func (c *Challenge) DeriveStableCode(label, alphabet string, n int) Code {
	stable := *c
	stable.CodeSend = 0
	return stable.DeriveCode(label, alphabet, n)
}

// DeriveForFactor returns 32 bytes that depend on the app, the label, the id of a factor and a key of the keyring, and not on the
// challenge. The key is named by its id; with an empty one it is the active key, and keyID is its id. ok is false if the keyring
// has no such key.
func (c *Challenge) DeriveForFactor(key, label, factor string) (secret [32]byte, keyID string, ok bool) {
	for _, k := range c.env.factors.keyring {
		if key == "" || k.id == key {
			return k.handles.sum("factor", label, factor), k.id, true
		}
	}
	return secret, key, false
}

// KeyIDs returns the ids of the keys of the keyring, the active key first.
func (c *Challenge) KeyIDs() []string {
	ids := make([]string, len(c.env.factors.keyring))
	for i, k := range c.env.factors.keyring {
		ids[i] = k.id
	}
	return ids
}

func (c *Challenge) stream(label string) func(counter byte) [32]byte {
	transaction := codec.CanonicalMap(c.Transaction)
	return func(counter byte) [32]byte {
		return c.key.codes.sum(label, c.ID, c.Purpose, transaction, string(c.salt), string([]byte{byte(c.CodeSend), counter}))
	}
}

// SentChannel returns the channel of the last message that a provider accepted, or the requested channel if there is none
// yet.
func (c *Challenge) SentChannel() string {
	if c.LastChannel != "" {
		return c.LastChannel
	}
	return c.Channel
}

// Factors returns the factors of the challenge's subject and strategy, disabled ones included. For a decoy of a DecoyMaker it
// returns one factor that nobody has. Errors are ErrUnavailable.
func (c *Challenge) Factors(ctx context.Context) ([]Factor, error) {
	if c.Decoy && c.Purpose != PurposeEnrol {
		if f, err := c.env.decoy(ctx, c); err != nil {
			return nil, err
		} else if f != nil {
			return []Factor{*f}, nil
		}
	}
	if c.factorReads != nil && c.factorReads.listed {
		return slices.Clone(c.factorReads.factors), nil
	}
	all, err := c.env.factors.list(ctx, c.Subject, c.Strategy)
	if err == nil && c.factorReads != nil {
		c.factorReads.listed, c.factorReads.factors = true, append(c.factorReads.factors, all...)
	}
	return slices.Clone(all), err
}

// FindFactor returns a factor of the app by its id, whatever its subject; ErrNotFound if there is none.
func (c *Challenge) FindFactor(ctx context.Context, id string) (Factor, error) {
	f, err := c.env.factors.get(ctx, id)
	if err == nil && c.factorReads != nil {
		c.factorReads.factors = append(c.factorReads.factors, f)
	}
	return f, err
}

// factorReads are the factors that one evaluation of an answer has read, so that the strategy and the engine use the same
// versions.
type factorReads struct {
	listed  bool
	factors []Factor
}
