package watchword

import (
	"context"
	"time"
)

// The interfaces that plug-ins implement: strategies, stores, senders, limiters and signers.

// A Strategy is a way to verify a subject. It has settings but no state: what it must remember is stored in the Challenge. It
// is also either a Matcher or a Verifier, and it is an Enroller if its subjects enrol factors.
type Strategy interface {
	// Name returns the strategy's name in the API, such as otp or totp.
	Name() string
	// Properties returns what the engine must know before it has read a challenge.
	Properties() StrategyProperties
	// Begin returns what is asked of the subject. It must be a pure function of the challenge and the subject's factors. It
	// takes codes and secrets from the challenge's Derive methods: the engine stores no code, and calls Begin again for each
	// message to get the same code.
	Begin(ctx context.Context, c *Challenge) (Prompt, error)
}

// A Matcher is a Strategy whose right answers are secrets that it derived. The engine stores their keyed digests. The store
// compares digests in the same atomic step that charges the try, before the entry is decrypted.
type Matcher interface {
	Strategy
	// Candidates returns the possible meanings of an answer, spelled as in Prompt.Accepts, the approving ones first. An
	// answer without candidates is wrong.
	Candidates(a Answer) []Candidate
	// AMR returns the RFC 8176 values for a right answer to this challenge.
	AMR(c *Challenge) []string
}

// An EndingMatcher is a Matcher with test addresses, whose right answers some challenges refuse, so that apps can try how they handle
// that. It is for development, as StrategyProperties.DevelopmentOnly: an engine refuses it unless Config.Development is set.
type EndingMatcher interface {
	Matcher
	// Ending returns how a challenge ends that an answer has locked: with Locked the answer is refused as after too many wrong
	// ones, with Expired as after the challenge's life, and otherwise as a wrong one. It decides by the challenge alone.
	Ending(c *Challenge) Status
}

// A Verifier is a Strategy that checks answers itself, after the engine has charged the try.
type Verifier interface {
	Strategy
	// Verify returns ErrMismatch for a wrong answer, with Proof.Compared set to the factors that the answer was compared
	// with. It stores nothing: the engine stores Proof.Spend.
	Verify(ctx context.Context, c *Challenge, answer string) (Proof, error)
}

// An Enroller is a Verifier whose subjects enrol factors. For PurposeEnrol the engine calls its methods instead of Begin and
// Verify.
type Enroller interface {
	Verifier
	// BeginEnrol is a pure function like Begin, except that it may set c.Data.
	BeginEnrol(ctx context.Context, c *Challenge) (Prompt, error)
	// VerifyEnrol returns the factor to create or, with an existing ID and its Version, to replace. A wrong answer is
	// ErrMismatch.
	VerifyEnrol(ctx context.Context, c *Challenge, answer string) (Factor, error)
}

// A DeviceTruster is a Verifier whose factors are trusted devices and whose answers are their tokens. Its challenges are made and
// approved in one start (see Config.TrustedDevices): Begin refuses all others. An app has one DeviceTruster at most.
//
// Verify finds the device among Challenge.Factors, which are those that are trusted now. With a valid token Proof.Spend is the
// device, as it is stored if its Data changed, and Proof.Successor the token that replaces the answer. With ErrMismatch,
// Proof.Reused is the device if the token is one that it has replaced.
type DeviceTruster interface {
	Verifier
	// NewDevice returns the factor of a device that will be trusted, and the token for its cookie. It is a pure function of the
	// challenge.
	NewDevice(c *Challenge) (Factor, Code, error)
}

// An AnswerReader is a Strategy whose answers are JSON objects. It parses them before the store is read, so that a malformed
// answer costs no try.
type AnswerReader interface {
	Strategy
	// ReadAnswer returns the normalized answer for the methods that evaluate it, or an *Error of ErrInvalidRequest that names
	// the fields, such as answer.id. It decides by the text alone.
	ReadAnswer(answer string) (string, error)
}

// A FactorLocator is a Strategy that can tell which factor an answer names. It is needed for challenges without a subject,
// which any discoverable passkey may answer.
type FactorLocator interface {
	// Locate returns the id of the factor; empty if the answer names none.
	Locate(c *Challenge, answer string) (factor string)
}

// A DecoyMaker is a Verifier whose decoys are evaluated like real challenges, against a factor that nobody has.
type DecoyMaker interface {
	Verifier
	// DecoyFactor returns the Data of an invented factor, in the form of a real factor of the challenge's subject. It derives
	// the Data from the challenge. An answer that fits this factor is wrong all the same.
	DecoyFactor(c *Challenge) ([]byte, error)
}

// A Describer describes its factors in listings.
type Describer interface {
	// Describe returns what the factor's owner and the app may see beside the engine's own fields. It must contain no secret.
	// The engine does not store it.
	Describe(f Factor) map[string]any
}

// A Sender delivers messages. Routing, failover, retries and rendering are Senders that wrap others. An error that is no
// *SendError counts as a temporary fault of the provider. A message keeps its ID when it is sent again.
type Sender interface {
	// Send delivers a message. A nil error means that the provider has accepted it.
	Send(ctx context.Context, m Message) (Sent, error)
}

// A Limiter counts events in buckets against its rules. It is safe for concurrent use.
type Limiter interface {
	// Take charges one token of every bucket, or none of any and returns a *LimitError. Any other error means that the limiter
	// is unavailable.
	Take(ctx context.Context, buckets ...Bucket) error
}

// A Throttle counts events in this process. It cannot fail and may lose its counts, so nothing that protects guesses or sends
// may depend on it. It is safe for concurrent use.
type Throttle interface {
	// Allow counts one event in every bucket, or in none and returns a *LimitError; nil: it was counted.
	Allow(buckets ...Bucket) *LimitError
}

// A Refunder is a Limiter that can give back what it charged for a start that failed.
type Refunder interface {
	Limiter
	// TakeNamed is Take under a unique name, for Refund. A second call with a name that was not refunded charges nothing
	// more.
	TakeNamed(ctx context.Context, name string, buckets ...Bucket) error
	// Refund gives back, once, what TakeNamed charged under a name at most 30 seconds ago. It does nothing if nothing was
	// charged.
	Refund(ctx context.Context, name string, buckets ...Bucket) error
}

// A Store keeps short-lived entries. It sees ids, counters, times, digests and encrypted bytes, and no content. Every method
// is one atomic step, also across processes and on a Redis Cluster.
//
// An id is two parts with a dot between. Entries and budgets whose ids begin with the same part are stored together, so that
// one atomic step reaches them. The first part also decides the partition.
//
// An error that a method does not name means that the store is unavailable; see ErrOutcomeUnknown.
type Store interface {
	// Create stores a new entry until its KeepUntil: pending, without tries used, at version 1. ErrExists if there is one. A
	// store that is an Outbox too queues out in the same step, so that there is never one without the other; other stores get
	// none.
	Create(ctx context.Context, e Entry, out ...Outgoing) error
	// Get returns an entry, closed and expired ones included, until its KeepUntil; ErrNotFound after that.
	Get(ctx context.Context, id string) (Entry, error)
	// Attempt charges one try and compares. In one step it checks, in this order: ErrNotFound; ErrClosed if the state is not
	// StatePending; ErrExpired; ErrSpent if no tries are left; a *BudgetError if the budget is spent, except for the first
	// try of an entry if b.FirstFree. Then it charges the try and one unit of the budget. Then it looks for each guess among
	// the entry's digests. The first one found sets the entry's State and Mark to those of the guess and, if it approves,
	// empties the budget.
	//
	// If b.Repeats is positive, it compares nothing and charges one repeat of a pending entry, instead of a try and the
	// budget. The error is ErrSpent if the entry has already been charged b.Repeats repeats.
	//
	// With a nil error the returned entry is complete. It has the State of the guess that matched or, if it has no digests,
	// is still pending; LastTry is the time of this charge. If the entry has digests and no guess matched, the error is
	// ErrMismatch, and the entry is StateLocked if that was its last try. With ErrClosed, ErrSpent, ErrMismatch and a
	// *BudgetError the entry has at least State, Tries, Used and Settled.
	Attempt(ctx context.Context, id string, guesses []Guess, b Budget) (Entry, error)
	// Close ends a pending entry, once. Its errors are ErrNotFound; ErrClosed if the entry is not pending; ErrExpired if the
	// entry would be approved after its ExpiresAt or after c.Before; ErrConflict as c.Version and ErrInFlight as c.Idle describe.
	Close(ctx context.Context, id string, c Closing) error
	// Update replaces the encrypted content and the digests, and adds one to the version, if the entry still has e.Version
	// and e.State; ErrConflict if not, ErrNotFound. Tries, state, mark and times do not change. A store that is an Outbox too
	// queues out in the same step.
	Update(ctx context.Context, e Entry, out ...Outgoing) error
}

// An Outbox is a queue of messages and of what is due later. One worker at a time claims an element, and then completes, retries
// or buries it. An Outbox stores ids and no content of messages: the worker calls Engine.ComposeMessage, which reads the
// challenge, drops messages that are no longer wanted and derives the code again.
//
// An outbox in this process is set in Config.Outbox, and the engine calls Put. An outbox that several processes share is a Store
// too: Create and Update queue in the step that writes the challenge, Config.Outbox is nil and the engine never calls Put. What
// such an outbox returns counts as a hint, which anybody with access to the store may repeat or invent: the engine claims each
// send in the encrypted challenge before its message leaves (see Engine.ComposeMessage).
type Outbox interface {
	// Put queues messages. Each is due at its Due.
	Put(ctx context.Context, out ...Outgoing) error
	// Claim blocks until at least one message is due, and claims those that are due, at most limit. The error is the context's
	// if it ends first. Unless it is claimed by a process that ends, no other Claim returns a message before it is returned to
	// the queue.
	Claim(ctx context.Context, limit int) ([]Outgoing, error)
	// Done removes a claimed message that was sent or is no longer wanted.
	Done(ctx context.Context, o Outgoing) error
	// Retry returns a claimed message to the queue, due at the given time, with Attempt increased by one.
	Retry(ctx context.Context, o Outgoing, at time.Time) error
	// Bury removes a claimed message that cannot be delivered.
	Bury(ctx context.Context, o Outgoing) error
}

// A DirectOutbox is an Outbox in the Store whose worker in this process may get a message in the step that queues it, without
// asking the store. The engine claims the send in the record that it writes in that step. If the process ends before the message is
// done, another process claims it after SendLease.
type DirectOutbox interface {
	Outbox
	// Reserve reports whether the worker can send one more message now, and keeps that for a message with Direct. Such a message
	// uses the reservation up in Create or Update, whatever their result is.
	Reserve() bool
	// Unreserve gives a reservation back.
	Unreserve()
	// UpdateAndFinish is Update of the Store, and Done of a claimed message of the same challenge in the same step. If Update returns
	// ErrConflict or ErrNotFound, the message is done all the same.
	UpdateAndFinish(ctx context.Context, e Entry, finished Outgoing, out ...Outgoing) error
}

// Factors is the durable store of what subjects enrolled. Data is encrypted. An app with a database of its users may
// implement it on its own tables. The engine also stores rows of its own: one for each subject, with the strategy factor_set,
// which it updates before each change of the subject's factors; and, for the empty subject, one for each key that has
// encrypted factors, with the strategy sealing_key.
type Factors interface {
	// Create stores a new factor; ErrExists if the app has one with its ID.
	Create(ctx context.Context, f SealedFactor) error
	// Get returns a factor of the app; ErrNotFound.
	Get(ctx context.Context, app, id string) (SealedFactor, error)
	// List returns the factors of a subject, the oldest first. An empty list is no error.
	List(ctx context.Context, app, subject string) ([]SealedFactor, error)
	// Update replaces Data and adds one to the version, if the version is still f.Version; ErrConflict if not, ErrNotFound.
	Update(ctx context.Context, f SealedFactor) error
	// Delete removes a factor; ErrNotFound.
	Delete(ctx context.Context, app, id string) error
}

// A Signer signs claims as receipts and verifies receipts. The engine does not depend on their format.
type Signer interface {
	// Sign returns a receipt with the claims.
	Sign(ctx context.Context, c Claims) (string, error)
	// Parse returns the claims of a receipt that this Signer signed and that has not expired; ErrReceiptInvalid.
	Parse(ctx context.Context, receipt string) (Claims, error)
	// JWKS returns the public keys (RFC 7517 §5), those announced for later use included.
	JWKS() []byte
}

// An AddressPolicy returns the canonical form of an address and decides whether messages may be sent to it by a channel.
// With an empty channel it only has to return the canonical form. It is safe for concurrent use.
//
// It refuses an address with an *Error. ErrInvalidRequest: the text is no valid address. ErrDestinationRefused, with
// Reason: no message may be sent to the address. ErrRateLimited, with Limit and RetryAfter: the address is refused for a
// while; trusted devices may still use it, and other devices as often as Config.Reserved allows. With the last two errors
// the policy also returns the Address.
type AddressPolicy func(channel, address string) (Address, error)

// A Pinger can be tested for readiness. Stores, limiters and factor stores behind a network implement it.
//
// Ping does what requests do, with the same rights, on entries of its own that expire by themselves, and changes nothing
// else. It may be called at any rate, so it bounds its own cost. If the error wraps one with a method Reason() string,
// readiness responses show that text; it must not contain a secret, an address or a server's message.
type Pinger interface {
	Ping(ctx context.Context) error
}

// An Address is an address as an AddressPolicy returns it.
type Address struct {
	Value   string // canonical form, which messages are sent to
	Key     string // what guess budgets and limits count by, if it differs from Value, as for the letter case of a mailbox
	Masked  string // for people and logs, such as +1 ••• ••• ••23
	Kind    string // email or phone
	Country string // ISO 3166-1 alpha-2, of a phone number
	Prefix  string // calling code and leading digits, for limits by prefix

	refusal *Error // temporary refusal by the policy; nil: none
}
