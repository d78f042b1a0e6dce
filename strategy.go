package watchword

import "time"

// What strategies say about themselves, and what they exchange with the engine.

// StrategyProperties describe a strategy.
type StrategyProperties struct {
	Group         Group         // whose guess budget wrong answers are charged to
	SendsMessages bool          // messages are sent: a channel and an address are required
	Channel       string        // default channel; empty: the caller must name one
	Subject       bool          // a subject is required
	Object        bool          // answers are JSON objects, not strings
	Typed         Typed         // form of codes that people type; zero: answers are exact
	Tries         int           // of a challenge; 0: Config.Tries
	Lifetime      time.Duration // of a challenge; 0: Config.Lifetime
	AnswerSpace   float64       // number of possible answers; 0: too many to guess (2^112 and more)
	RightAnswers  int           // number of right answers at a time; 0: 1
	Strength      int           // as a proof for changing factors; see Authority
	Ask           Ask           // what Begin asks for
	Source        Source        // where the person finds a code that is not sent; empty: nowhere in particular
	LongLived     bool          // its challenges by mail may live longer than 10 minutes; see Challenge.LongLived

	// MultiFactor: a right answer can prove two kinds of factors, which it does if Challenge.Require is RequireMFA. Its Proof.AMR
	// then contains mfa (RFC 8176).
	MultiFactor bool
	// PhishingResistant: the answer is bound to the app's origin, so that no other site can pass it on. Receipts have the acr
	// ACRPhishingResistant.
	PhishingResistant bool
	// DevelopmentOnly: some right answers are public. An engine refuses the strategy unless Config.Development is set, also if it is
	// part of another strategy, which has its properties.
	DevelopmentOnly bool
}

// A Source is where a person finds a code that is not sent. Pages name it.
type Source string

// The values of Source.
const (
	SourceApp   Source = "app"   // an authenticator app shows it
	SourceToken Source = "token" // a device that makes codes shows it
	SourceSaved Source = "saved" // the person keeps it, such as a recovery code
)

// ACRPhishingResistant is the acr of receipts of strategies that are PhishingResistant (OpenID Connect EAP ACR Values 1.0 §2).
const ACRPhishingResistant = "phr"

// The values of StrategyProperties.Strength.
const (
	StrengthSent     = 1 // sent codes and links
	StrengthRecovery = 2 // recovery codes; they may replace any factor
	StrengthOTP      = 3 // TOTP and HOTP
	StrengthKey      = 4 // security keys and passkeys
)

// A Group decides whose guess budget a try is charged to.
type Group int

// The groups.
const (
	GroupNone    Group = iota // no budget, only the challenge's own tries: answers cannot be guessed
	GroupAddress              // the canonical address, whatever the channel, purpose or subject
	GroupSubject              // the subject and the strategy
)

// An Ask is what a person has to do. Hosted pages are written per Ask.
type Ask string

// The values of Ask.
const (
	AskCode   Ask = "code"    // type a code
	AskLink   Ask = "link"    // open a link
	AskKey    Ask = "key"     // use a passkey or security key
	AskNewKey Ask = "new_key" // register a passkey or security key
	AskScan   Ask = "scan"    // scan the secret of an authenticator app
)

// A Prompt is what a strategy asks of the subject.
type Prompt struct {
	Ask     Ask
	Public  map[string]any // data for the ask, such as options of a key or a secret to scan; shown to the starter once
	Accepts []Code         // right answers of a Matcher, spelled as in Candidate.Text; only their digests are stored
	Code    Code           // digits or letters for the message
	Link    Code           // token of a link for the message
	Silent  bool           // no message is sent; everything else is unchanged (test identities)
	Decoy   bool           // no message is sent, and no answer is approved
}

// An Answer is the response of the subject.
type Answer struct {
	Text    string // a typed code, a link's token, or a JSON object; normalized before a strategy receives it
	Object  bool   // Text is a JSON object
	Number  string // the number on the starter's screen, from a link's page; normalized like Text
	Starter bool   // the caller is the app's backend, or has the starter's cookie
}

// AnswerCode returns the answer of a person who typed a code, or the token of a link.
func AnswerCode(text string) Answer { return Answer{Text: text} }

// AnswerCredential returns the answer of a passkey or security key: the JSON of the page's PublicKeyCredential.toJSON (WebAuthn Level 3
// §5.1).
func AnswerCredential(credential []byte) Answer {
	return Answer{Text: string(credential), Object: true}
}

// A Candidate is one possible meaning of an answer.
type Candidate struct {
	// Text is compared with Prompt.Accepts.
	Text string
	// LocksChallenge reports that a match locks the challenge; otherwise it approves it.
	LocksChallenge bool
}

// A Proof is the result of Verifier.Verify.
type Proof struct {
	AMR      []string       // RFC 8176 values
	Spend    *Factor        // the factor to store before the challenge is closed, with its counter moved or code used up; nil: none
	Subject  string         // owner of a discoverable passkey, if the challenge has no subject
	Compared []Factor       // with ErrMismatch: the factors that get one more consecutive failure
	CodesLow bool           // few recovery codes are left: the engine sends EventFactorLow
	Reused   *Factor        // with ErrMismatch: a trusted device whose replaced token was the answer; the engine removes it
	Extra    map[string]any // details for the receipt or, with ErrMismatch, for the app's backend

	Successor Code // the token of a trusted device that replaces the answer
}

// Strategies returns the names of the strategies that a start can name, in the order of Config.Strategies. Trusted devices are not
// among them: they answer by their tokens only.
func (e *Engine) Strategies() (names []string) {
	for _, s := range e.cfg.Strategies {
		if s.Name() != e.deviceStrategy() {
			names = append(names, s.Name())
		}
	}
	return names
}
