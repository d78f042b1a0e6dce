package watchword

import (
	"context"
	"time"
)

// This page holds every seam of the engine. A plug-in implements one of them in a folder of its own and is named,
// outside that folder, only where a program is wired together.

// A Strategy is one way to prove something. It holds settings, never state: what it must remember goes into the
// Challenge. Beside these three methods it is a Matcher or a Verifier, and an Enroller if its subjects keep something.
type Strategy interface {
	// Name is the strategy's name on the wire: otp, totp, magiclink, ...
	Name() string
	// StrategyProperties says what the engine must know before it has read a challenge.
	Properties() StrategyProperties
	// Begin says what is asked of the subject. It must be a pure function of the challenge (and of what the subject has
	// enrolled), with codes and secrets from its Derive methods: it is called again for each message, so that the
	// same code can be sent again though none is stored.
	Begin(ctx context.Context, c *Challenge) (Prompt, error)
}

// A Matcher's answers are secrets that were made here and sent, so they are compared as keyed digests inside the store,
// in the same step that charges the try and before the entry has been read.
type Matcher interface {
	Strategy
	// Candidates lists what the answer may mean, in the one spelling that Begin accepts, the approving ones first.
	// None is a wrong answer.
	Candidates(a Answer) []Candidate
	// AMR lists the RFC 8176 values that a right answer to this challenge earns, and no more than happened.
	AMR(c *Challenge) []string
}

// A Verifier decides in Go, after the try has been charged: its answers are not digests of something that was sent.
type Verifier interface {
	Strategy
	// Verify returns ErrMismatch for a wrong answer, with Proof.Compared naming the factors it was compared with.
	// It spends and stores nothing: Proof.Spend is what the engine spends.
	Verify(ctx context.Context, c *Challenge, answer string) (Proof, error)
}

// An Enroller's subjects keep something. Its methods are called instead of Begin and Verify when the purpose is Enrol.
type Enroller interface {
	Verifier
	// BeginEnrol is as pure as Begin, and may leave what it must remember in c.Data.
	BeginEnrol(ctx context.Context, c *Challenge) (Prompt, error)
	// VerifyEnrol returns the factor to create or, with an ID that exists and its Version, to replace.
	VerifyEnrol(ctx context.Context, c *Challenge, answer string) (Factor, error)
}

// An AnswerReader's answers are JSON objects with a form of their own. It reads them before anything else is read, so that
// what is not an answer at all costs no try.
type AnswerReader interface {
	Strategy
	// ReadAnswer returns the one spelling of an answer, for the methods that evaluate it, or an *Error of ErrInvalidRequest
	// that names the members: answer.id say. It decides by the text alone.
	ReadAnswer(answer string) (string, error)
}

// A FactorLocator names the factor that an answer says it is of, where a challenge names nobody: a discoverable passkey's. Empty:
// the answer says nothing, or is none.
type FactorLocator interface {
	Locate(c *Challenge, answer string) (factor string)
}

// A DecoyMaker's decoys are evaluated like anybody's: against a factor that nobody has.
type DecoyMaker interface {
	Verifier
	// DecoyFactor returns what Data of a factor would hold that the challenge's subject had enrolled. It is derived from
	// the challenge; no answer to it is ever approved.
	DecoyFactor(c *Challenge) ([]byte, error)
}

// A Describer says what may be shown of a factor beside what the engine knows of it: what its owner or the app can use,
// and no secret. Listings ask; nothing of it is stored.
type Describer interface {
	Describe(f Factor) map[string]any
}

// A Sender carries a message. Routing, failover, retrying and rendering are Senders around Senders. An error that is
// not a *SendError may pass; the message keeps its ID however often it is tried.
type Sender interface {
	Send(ctx context.Context, m Message) (Sent, error)
}

// A Limiter spends one token from every bucket, or none from any: then the error is a *LimitError that names the rule
// and when to come back. Any other error means that the limiter could not be reached. Safe for concurrent use.
type Limiter interface {
	Take(ctx context.Context, buckets ...Bucket) error
}

// A Throttle keeps noise away. It counts in this process, cannot fail, and may forget what it counted: nothing that protects
// a guess or a send may rest on it, and so it is no Limiter. Safe for concurrent use.
type Throttle interface {
	// Allow counts one event in every bucket, or in none: then the LimitError says which rule refuses, and when to come
	// back. Nil: it was counted.
	Allow(buckets ...Bucket) *LimitError
}

// A Refunder is a Limiter that can give back what it took for a start that did not come about.
type Refunder interface {
	Limiter
	// TakeNamed is Take under a name that no other Take has, for Refund. Under a name that was used before, and not given
	// back, it spends nothing more.
	TakeNamed(ctx context.Context, name string, buckets ...Bucket) error
	// Refund gives back what TakeNamed spent under a name at most half a minute ago, once; nothing if it spent nothing.
	Refund(ctx context.Context, name string, buckets ...Bucket) error
}

// A Store keeps short-lived entries. It is blind: it sees ids, counters, expiry, digests and sealed bytes. Every method
// is one atomic step, also across processes and on a Redis Cluster.
//
// An id is two parts with a dot between. Entries and budgets whose ids begin with the same part belong together and are
// kept where one atomic step reaches them; the first part also decides the partition.
//
// Any error but those named means that the store could not be reached or refused to answer.
type Store interface {
	// Create keeps a new entry, pending, unused and at version 1, until its KeepUntil, or fails with ErrExists. What
	// must be sent joins the outbox in the same step; out is given only to a store that is an Outbox too.
	Create(ctx context.Context, e Entry, out ...Outgoing) error
	// Get reads an entry, closed and expired ones included, until its KeepUntil. ErrNotFound after that.
	Get(ctx context.Context, id string) (Entry, error)
	// Attempt charges one try and, where the entry has digests, compares. In this order and in one step: ErrNotFound;
	// ErrClosed if the state is not StatePending; ErrExpired; ErrSpent if no tries are left; a *BudgetError if the
	// budget is spent (but the first try of an entry passes where b.FirstFree); then the try and one unit of the
	// budget are charged; then each guess in turn is looked for among the entry's digests. The first that is found
	// closes the entry with the guess's State and Mark and, if it approves, empties the budget.
	//
	// With b.Repeats nothing is compared, and of an entry that is neither closed nor expired one repeat is charged
	// instead of a try and the budget: ErrSpent if the entry has had as many repeats.
	//
	// With a nil error the entry is complete: it was won (State is the guess's) or, for an entry without digests, its
	// try was charged and it is still pending; LastTry is the time of this charge. An entry with digests that no guess
	// matched is ErrMismatch, and is StateLocked if that was its last try. With ErrClosed, ErrSpent, ErrMismatch and a
	// *BudgetError the entry has at least its State, Tries, Used and Settled.
	Attempt(ctx context.Context, id string, guesses []Guess, b Budget) (Entry, error)
	// Close ends a pending entry, once: ErrClosed if it is not pending any more (somebody else won), ErrExpired if
	// its time, or c.Before, is over and it would be approved, ErrNotFound; ErrInFlight as c.Idle says.
	Close(ctx context.Context, id string, c Closing) error
	// Update replaces the sealed data and the digests if the entry's version is still e.Version and its state still
	// e.State, and adds one to the version; ErrConflict if not, ErrNotFound. So what was decided on a pending entry is
	// not written to one that was closed meanwhile. It never touches tries, state, mark or times.
	Update(ctx context.Context, e Entry, out ...Outgoing) error
}

// An Outbox is where messages wait to be sent: claimed by one worker at a time, done, tried again later, or buried.
// Outgoing carries ids only; the worker asks the engine to Compose the message, which reads the challenge, drops what is
// no longer pending, derives the code again and renders.
type Outbox interface {
	// Put takes messages in. An outbox that is the Store itself gets them in Create and Update instead.
	Put(ctx context.Context, out ...Outgoing) error
	// Claim waits for the next message that is due.
	Claim(ctx context.Context) (Outgoing, error)
	// Done forgets a claimed message that was sent, or is no longer wanted.
	Done(ctx context.Context, o Outgoing) error
	// Retry gives a claimed message back, due at the given time and with one more Attempt.
	Retry(ctx context.Context, o Outgoing, at time.Time) error
	// Bury gives a message up: every sender refused it, or its code would be dead.
	Bury(ctx context.Context, o Outgoing) error
}

// Factors keeps what subjects enrolled. It is durable, and Data arrives sealed. An app with a database of its users may
// implement it over its own tables. Beside a subject's factors the engine keeps one entry of its own, of the strategy
// factor_set: whoever changes the set changes it first. Of the empty subject it keeps one entry for each key of the keyring
// that has sealed something, of the strategy sealing_key.
type Factors interface {
	// Create keeps a new factor; ErrExists if the app has one of that ID.
	Create(ctx context.Context, f SealedFactor) error
	// Get reads one factor of the app; ErrNotFound.
	Get(ctx context.Context, app, id string) (SealedFactor, error)
	// List reads the factors of a subject, the oldest first; none is not an error.
	List(ctx context.Context, app, subject string) ([]SealedFactor, error)
	// Update replaces Data if the version is still f.Version, and adds one to it; ErrConflict, ErrNotFound.
	Update(ctx context.Context, f SealedFactor) error
	// Delete removes one factor; ErrNotFound.
	Delete(ctx context.Context, app, id string) error
}

// A Signer turns claims into receipts and back. The engine knows nothing of their form.
type Signer interface {
	// Sign returns the receipt of the claims.
	Sign(ctx context.Context, c Claims) (string, error)
	// Parse returns the claims of a receipt that this Signer made and that has not expired; ErrReceiptInvalid.
	Parse(ctx context.Context, receipt string) (Claims, error)
	// JWKS returns the public keys (RFC 7517 §5), those announced for later included.
	JWKS() []byte
}

// An AddressPolicy makes an address canonical and decides whether messages may go there. Channel is empty when only the
// canonical form is asked for. A *Error of ErrDestinationRefused or ErrInvalidRequest says what is wrong with it; for a
// refused destination the Address is still filled. A *Error of ErrRateLimited, with Limit and RetryAfter, refuses it for a
// while: devices that the app knows are let in all the same, and as many others as Config.Reserved allows.
type AddressPolicy func(channel, address string) (Address, error)

// A Pinger can say whether it can be used. Stores, limiters and factor stores behind a network implement it.
//
// Ping tries what requests do, with the same rights and on entries of its own that leave by themselves, and changes nothing else.
// It may be called at any rate, and so bounds what it costs. An error that has a method Reason() string, in its chain, is
// shown with that to everybody who asks whether the server is ready: plain words, without a secret, an address or anything
// that a server said.
type Pinger interface {
	Ping(ctx context.Context) error
}

// StrategyProperties is what the engine must know of a strategy before it has read a challenge.
type StrategyProperties struct {
	Group        Group         // what a guess is about
	Sends        bool          // a message travels: channel and address are required
	Channel      string        // by which it travels where the caller names no channel; empty: the caller must
	Subject      bool          // the subject is required
	Object       bool          // the answer is a JSON object, not a string
	Typed        Typed         // what its codes look like that people type; zero: answers are exact
	Tries        int           // tries of a challenge; 0: Config.Tries
	Lifetime     time.Duration // of a challenge; 0: Config.Lifetime
	Space        float64       // how many answers there could be; 0: too many to guess (2^112 and more)
	RightAnswers int           // how many of them are right at a time
	Strength     int           // for changing factors: only a proof at least as strong as the strongest factor will do
}

// Strengths of strategies, for StrategyProperties.
const (
	StrengthSent     = 1 // sent codes and links
	StrengthRecovery = 2 // recovery codes; they may replace any factor
	StrengthOTP      = 3 // TOTP and HOTP
	StrengthKey      = 4 // security keys and passkeys
)

// A Group says whose guess budget a try is charged to.
type Group int

// The groups of guesses.
const (
	GroupNone    Group = iota // answers that cannot be guessed: no budget, only the challenge's own tries
	GroupAddress              // codes that were sent: the canonical address, whatever the channel, purpose or subject
	GroupSubject              // the subject and the strategy
)

// An Ask says what a person has to do; pages are written per Ask.
type Ask string

// The asks.
const (
	AskCode   Ask = "code"
	AskLink   Ask = "link"
	AskKey    Ask = "key"
	AskNewKey Ask = "new_key"
	AskScan   Ask = "scan"
)

// A Prompt is what a strategy asks of the subject.
type Prompt struct {
	Ask     Ask
	Public  map[string]any // what the ask needs: options of a key, a secret to scan; shown to the starter once
	Accepts []Code         // a Matcher's right answers, in the spelling of Candidates; only their digests are stored
	Code    Code           // for the message: digits or letters to type
	Link    Code           // for the message: the token of a link
	Silent  bool           // nothing is sent, though everything else is as if it were (test identities)
	Decoy   bool           // nothing is sent, and no answer is right
}

// An Answer is what the subject gives back.
type Answer struct {
	Text    string // what was typed, a link's token, or a JSON object; a strategy sees the one spelling that Typed speaks of
	Object  bool   // Text is a JSON object
	Number  string // from a link's page: the number that the starting screen shows, spelled as Text is
	Starter bool   // the caller is the app's backend, or the opener has shown the starter's own cookie
}

// A Candidate is one meaning of an answer. A right one approves the challenge, or locks it.
type Candidate struct {
	Text           string
	LocksChallenge bool
}

// A Proof is a Verifier's decision and what it has to be paid with.
type Proof struct {
	AMR      []string       // RFC 8176, and no more than happened
	Spend    *Factor        // the factor as it must be stored before the challenge is won: counter moved, code used up
	Subject  string         // a discoverable passkey's owner, where the challenge has no subject
	Compared []Factor       // with ErrMismatch: the factors whose consecutive failures grow by this one
	Low      bool           // little is left of the factor: the app should tell its user
	Extra    map[string]any // what the strategy adds to the receipt or, with ErrMismatch, tells the app's backend
}

// An Address is what an AddressPolicy makes of one.
type Address struct {
	Value   string // the canonical form, which is what messages go to
	Key     string // what guess budgets and limits count by, if that is less than Value: letter case of a mailbox say
	Masked  string // for people and logs: +1 ••• ••• ••23
	Kind    string // email or phone
	Country string // ISO 3166-1 alpha-2, of a number
	Prefix  string // what a limit by number prefix counts: calling code and leading digits

	refusal *Error // for a while, by the policy; nil: none
}

// A Bucket is one thing that limits count by. A limiter applies every rule whose By (and channel) fits.
type Bucket struct {
	By      string // address, subject, ip, prefix, country, app or all
	Key     string // whose, as a keyed digest that does not rotate
	Channel string // of what is sent; empty if nothing is
	Known   bool   // of a device that the app recognises: it is never counted with others, whatever the key
}

// Outgoing names a message that has to be sent. It holds ids only.
type Outgoing struct {
	ChallengeID string
	Send        int // which of the challenge's sends; a resend makes the earlier one pointless
	Attempt     int // how often it has been given back

	fresh *record // in process: what was just written, so that the first try need not read it
}

// IDs is the Outgoing without what this process remembers of it: composing it reads the challenge again.
func (o Outgoing) IDs() Outgoing {
	o.fresh = nil
	return o
}

// A Message is what travels. Text, HTML and Title are empty until it was rendered.
type Message struct {
	ID          string // the same for each try of one send
	ChallengeID string
	Send        int    // which of the challenge's sends; with ChallengeID it names the Outgoing for Engine.Record
	App         string // the tenant's name, for people
	Channel     string
	To          string // canonical
	Locale      string
	Purpose     string
	Subject     string
	Code        Code
	Link        Code // the whole URL
	Origin      string
	ExpiresAt   time.Time
	Lifetime    time.Duration
	Transaction map[string]string
	Client      Client

	Title    string // a mail's subject
	Text     string
	HTML     string
	Language string // of these three, as a BCP 47 tag: the one that there are words in for Locale
}

// Sent is a provider's acknowledgement.
type Sent struct {
	Provider  string
	Reference string // the provider's own id of the message
}

// SealedFactor is a Factor as it is stored.
type SealedFactor struct {
	ID        string
	App       string
	Subject   string
	Strategy  string
	CreatedAt time.Time
	Version   int64 // 1 after Create
	Data      []byte
	ReadAt    time.Time // the store's clock when Get or List read it, to a second or better; zero: the store does not say
}
