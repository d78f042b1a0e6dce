package watchword

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// An Error is an error of the engine. Code is the stable name that callers of the API see; the other fields are set for the
// codes that their comments name. Errors compare by Code, so errors.Is(err, ErrIncorrectAnswer) holds for every wrapped error
// with that code.
type Error struct {
	Code       string         // stable name, as in ErrInvalidRequest and the other variables
	Fields     []FieldError   // invalid_request: the refused fields
	Remaining  int            // incorrect_answer: tries left
	Limit      string         // rate_limited: name of the rule
	Reason     string         // destination_refused: country, line_type, prefix or blocked
	RetryAfter time.Duration  // rate_limited, too_many_guesses, resend_too_soon, and unavailable with tries in flight; 0: unknown
	Extra      map[string]any // incorrect_answer: details of the strategy for the app's backend; in development also the fields that contradict the challenge
	Unknown    bool           // unavailable: the change may have been made; repeat the request with the same seed
	Faults     []Fault        // unavailable, from Engine.Ping: the parts that do not work
	Cause      error          // unavailable: for logs, not for callers
}

// A FieldError names a field of a request and the reason for its refusal. The reason never repeats the field's value.
type FieldError struct{ Field, Reason string }

// Error returns the stable name and the details for logs.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("watchword: " + strings.ReplaceAll(e.Code, "_", " "))
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "; %s: %s", f.Field, f.Reason)
	}
	for _, s := range []string{e.Limit, e.Reason} {
		if s != "" {
			b.WriteString(": " + s)
		}
	}
	if e.Cause != nil {
		b.WriteString(": " + e.Cause.Error())
	}
	return b.String()
}

// Is reports whether target is an *Error with the same Code.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// The errors of an Engine. Compare with errors.Is; errors.As with *Error gives the details.
var (
	ErrInvalidRequest     = &Error{Code: "invalid_request"}     // a field of the request is missing or malformed; see Fields
	ErrUnknownChallenge   = &Error{Code: "unknown_challenge"}   // the app has no challenge with this id, or not any more
	ErrUnknownFactor      = &Error{Code: "unknown_factor"}      // the app has no factor with this id
	ErrIncorrectAnswer    = &Error{Code: "incorrect_answer"}    // the answer is wrong; one try was charged
	ErrAttemptsExhausted  = &Error{Code: "attempts_exhausted"}  // the challenge is locked: it has no tries left
	ErrChallengeExpired   = &Error{Code: "challenge_expired"}   // the challenge has expired
	ErrChallengeCanceled  = &Error{Code: "challenge_canceled"}  // the challenge was canceled
	ErrChallengeApproved  = &Error{Code: "challenge_approved"}  // the challenge was approved before
	ErrNotAnswered        = &Error{Code: "not_answered"}        // Redeem: the challenge is pending
	ErrNotEnrolled        = &Error{Code: "not_enrolled"}        // the subject has no factor of the strategy
	ErrFactorDisabled     = &Error{Code: "factor_disabled"}     // the factor is disabled
	ErrProofRequired      = &Error{Code: "proof_required"}      // the authority to change factors is missing, too weak or has ended
	ErrRateLimited        = &Error{Code: "rate_limited"}        // a limit refused; see Limit and RetryAfter
	ErrTooManyGuesses     = &Error{Code: "too_many_guesses"}    // the guess budget is spent, or the factor is temporarily locked; see RetryAfter
	ErrResendTooSoon      = &Error{Code: "resend_too_soon"}     // the cool-down of a resend is not over; see RetryAfter
	ErrSendsExhausted     = &Error{Code: "sends_exhausted"}     // the challenge has sent as many messages as Config.Sends
	ErrDestinationRefused = &Error{Code: "destination_refused"} // the address policy refused the address; see Reason
	ErrReceiptUsed        = &Error{Code: "receipt_used"}        // the receipt was collected or redeemed before
	ErrReceiptInvalid     = &Error{Code: "receipt_invalid"}     // the receipt is not of this engine, not for the purpose, or its challenge is unknown
	ErrReturnCodeInvalid  = &Error{Code: "return_code_invalid"} // Redeem: the return code is missing, wrong or expired; see RedeemRequest
	ErrUnavailable        = &Error{Code: "unavailable"}         // a store, limiter or other component failed; see Unknown

	ErrUnknownVerification = &Error{Code: "unknown_verification"} // the app has no verification with this id, or not any more
	ErrUnknownMethod       = &Error{Code: "unknown_method"}       // the verification offers no method with this id
	ErrPartOfVerification  = &Error{Code: "part_of_verification"} // the challenge is part of a verification, through which it is answered

	ErrIdempotencyMismatch = &Error{Code: "idempotency_mismatch"}  // the idempotency key was used with another request body
	ErrIdempotencyInFlight = &Error{Code: "idempotency_in_flight"} // a request with the idempotency key is being answered
)

// The errors that stores, factor stores and strategies return to the engine. The engine translates each into one of the
// errors above. Four methods return some of them to the caller: ComposeMessage, RecordDelivery, RecordReport and
// Challenge.FindFactor.
var (
	ErrNotFound = errors.New("watchword: not found")         // Store, Factors: there is no such entry or factor
	ErrExists   = errors.New("watchword: exists already")    // Store.Create, Factors.Create
	ErrConflict = errors.New("watchword: changed meanwhile") // Update of Store and Factors: the version has changed; read again
	ErrClosed   = errors.New("watchword: closed already")    // Store.Attempt, Close: approved, canceled or locked already
	ErrExpired  = errors.New("watchword: expired")           // Store.Attempt, Close: the entry has expired
	ErrSpent    = errors.New("watchword: no tries left")     // Store.Attempt: the entry has no tries left
	ErrMismatch = errors.New("watchword: wrong answer")      // Store.Attempt, Verifier.Verify: compared and wrong
	ErrInFlight = errors.New("watchword: tries in flight")   // Store.Close: still pending; see Closing.Idle

	// ErrOutcomeUnknown is wrapped by errors of a store whose change may have been made: a reply was lost. An error that does
	// not wrap it means that nothing was changed and nothing will be changed later.
	ErrOutcomeUnknown = errors.New("watchword: the outcome is unknown")
)

// A BudgetError is returned by Store.Attempt if the guess budget is spent. Nothing was charged or compared.
type BudgetError struct{ RetryAfter time.Duration }

// Error returns the time after which the budget allows another guess.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("watchword: guess budget spent, retry after %s", e.RetryAfter)
}

// A LimitError is returned by Limiter.Take if a rule refuses. No bucket was charged.
type LimitError struct {
	Rule       string        // name of the rule in the configuration
	RetryAfter time.Duration // a Take after it succeeds, unless more was charged meanwhile; never too short
}

// Error returns the name of the rule and RetryAfter.
func (e *LimitError) Error() string {
	return fmt.Sprintf("watchword: limit %q, retry after %s", e.Rule, e.RetryAfter)
}

// A SendFault says whose fault a SendError was.
type SendFault int

// The values of SendFault.
const (
	FaultProvider  SendFault = iota // the service: unreachable, time-out, credentials, configuration, an error of the service
	FaultRecipient                  // this address: unknown, refused, greylisted, blocked, its mailbox full
	FaultMessage                    // the content was refused
)

// String returns the word for logs: provider, recipient or message.
func (f SendFault) String() string {
	switch f {
	case FaultRecipient:
		return "recipient"
	case FaultMessage:
		return "message"
	}
	return "provider"
}

// A SendError is the refusal of a Sender. Any other error of a Sender counts as a temporary fault of the provider, and only its
// kind is logged.
type SendError struct {
	Fault      SendFault     // whose fault it was; only faults of the provider count for its circuit breaker
	Permanent  bool          // this sender will never accept the message; the next sender is tried
	RetryAfter time.Duration // as the provider requests; 0: the provider named no time
	Provider   string
	Cause      error // logged; must not contain the recipient, the code, credentials or the provider's text
}

// Error returns the provider, if it is known, and the cause.
func (e *SendError) Error() string {
	if e.Provider == "" {
		return fmt.Sprint(e.Cause)
	}
	return fmt.Sprintf("%s: %v", e.Provider, e.Cause)
}

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Cause }

// invalid returns an ErrInvalidRequest for one field.
func invalid(field, reason string) error {
	return &Error{Code: ErrInvalidRequest.Code, Fields: []FieldError{{field, reason}}}
}

// unavailable wraps an error of a store or limiter. errors.Is still finds a canceled context.
func unavailable(cause error) error {
	return &Error{Code: ErrUnavailable.Code, Cause: cause, Unknown: errors.Is(cause, ErrOutcomeUnknown)}
}
