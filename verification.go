package watchword

import "time"

// A VerificationRequest asks for a new verification: one question that any of several methods may answer.
type VerificationRequest struct {
	Purpose     string            // required; as in StartRequest, but not PurposeEnrol
	Subject     string            // the app's opaque id of the person; required by methods whose strategy requires it
	Methods     []MethodRequest   // 1 to 10, in the order of preference
	Open        OpenChoice        // which method is opened at the start; empty: OpenAuto
	Fallback    time.Duration     // how long to wait before the method with MethodRequest.Fallback is opened; zero: never
	Require     Requirement       // what a right answer must prove; empty: RequireAny
	Locale      string            // BCP 47 tag; may be empty
	ReturnURL   string            // as in StartRequest
	Nonce       string            // as in StartRequest
	Transaction map[string]string // as in StartRequest
	Metadata    map[string]string // as in StartRequest
	Client      Client
	Decoy       bool // look and take as long as a real verification, send nothing and approve no answer

	// RememberDevice makes the client a trusted device of the subject when the receipt is collected, if the app trusts devices:
	// VerificationResult.DeviceToken is the token for its cookie.
	RememberDevice bool
	// DeviceToken is the token of a trusted device of the subject. If it is valid, the client counts as Client.Known, and
	// StartedVerification.DeviceToken replaces it. For the purposes in Config.TrustedDevices the device answers the verification, if
	// that requires nothing and has no transaction: then StartedVerification.Approved is set. Another text changes nothing.
	DeviceToken Code

	// Seed, if set, determines the verification's id. A second start with the same seed returns the first verification, and no
	// message is sent twice.
	Seed []byte
	// Unanswered has the meaning of StartRequest.Unanswered.
	Unanswered bool
}

// A MethodRequest is one method that the app suggests: a strategy with its channel, address or factor.
type MethodRequest struct {
	Strategy string // required
	Channel  string // as in StartRequest
	To       string // as in StartRequest; without a subject, the address of every method is the same
	Factor   string // id of the only factor that may answer; empty: any
	Fallback bool   // the engine may open the method; see VerificationRequest.Fallback. One method at most
}

// An OpenChoice is which method is opened when a verification starts.
type OpenChoice string

// The values of OpenChoice.
const (
	OpenAuto  OpenChoice = "auto"  // the first one offered, if it sends nothing or is the only one
	OpenFirst OpenChoice = "first" // the first one offered
	OpenNone  OpenChoice = "none"  // none: the person chooses
)

// A Requirement is what the answer of a verification must prove. Methods that cannot prove it are not offered.
type Requirement string

// The values of Requirement.
const (
	RequireAny               Requirement = "any"
	RequireMFA               Requirement = "mfa"                // two kinds of factors in one answer, such as a key that verifies its user
	RequirePhishingResistant Requirement = "phishing_resistant" // an answer that no other site can pass on
)

const (
	maxMethods           = 10
	verificationLifetime = 15 * time.Minute
	minFallbackTime      = 10 * time.Second
	maxFallbackTime      = 10 * time.Minute
)

// A VerificationView is the public state of a verification. It contains no secret and no full address.
type VerificationView struct {
	ID          string
	Status      Status // Locked if no method is left that can be answered
	Purpose     string
	Subject     string
	Methods     []MethodView     // those that are offered, in the order of preference
	Method      string           // id of the method that was opened last; empty: none yet
	Challenge   *MethodChallenge // of Method, while the verification is pending; nil: none
	Fallback    FallbackView
	Require     Requirement
	Locale      string
	ReturnURL   string
	Transaction map[string]string
	Metadata    map[string]string
	Client      Client
	CreatedAt   time.Time
	ExpiresAt   time.Time
}

// A MethodView is a method that a verification offers.
type MethodView struct {
	ID        string // unique in the verification, such as m1
	Strategy  string
	Channel   string // empty if nothing is sent
	SentTo    string // masked address; empty if nothing is sent
	Ask       Ask
	Source    Source // StrategyProperties.Source
	Factor    string // id of the only factor that may answer; empty: any
	Challenge string // id of the challenge that was opened for it; empty: it was not opened
	Status    Status // of that challenge; empty: the method was not opened
}

// A MethodChallenge is the challenge of a method.
type MethodChallenge struct {
	View
	Public Public // Prompt.Public; nil unless the method was just opened
}

// A FallbackView is what the engine did because a message did not arrive.
type FallbackView struct {
	Method string // id of the method that the engine has opened; empty: none
	From   string // id of the method whose message did not arrive
}

// A StartedVerification is a new verification with the secrets that only its starter may see.
type StartedVerification struct {
	VerificationView
	Handle Code // collects the receipt; see Engine.RedeemVerification
	Ticket Code // opens the hosted page; see Engine.OpenVerificationPage. Zero: there is none, because ReturnURL is empty

	DeviceToken Code                // replaces the valid VerificationRequest.DeviceToken; zero: none was given
	Approved    *VerificationResult // the result, if a trusted device has answered the start; nil otherwise
}

// A VerificationCheck is an answer to a method of a verification.
type VerificationCheck struct {
	CheckRequest        // Purpose, and Subject or To, repeat those of the verification
	Method       string // id of the method; required once several are open
}

// A VerificationResult is the outcome of a right answer.
type VerificationResult struct {
	Claims *Claims // of the receipt; the caller signs them
	Method string  // id of the method that was answered; of a trusted device its strategy

	DeviceToken Code // of the device that is trusted from now on; zero: none
}
