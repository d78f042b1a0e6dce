package watchword

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// An Error is what the engine answers when something is not proven. Errors are made inside and translated once, at
// the door: Code is the stable name that API callers see; the other fields are set where the name calls for them.
// Errors compare by Code, so errors.Is(err, ErrIncorrectAnswer) holds however the error was wrapped.
type Error struct {
	Code       string         // the stable name, one of those below
	Fields     []FieldError   // invalid_request: what is wrong, field by field
	Remaining  int            // incorrect_answer: tries that are left
	Limit      string         // rate_limited: the rule that refused
	Reason     string         // destination_refused: country, line_type, prefix or blocked
	RetryAfter time.Duration  // rate_limited, too_many_guesses, resend_too_soon, factor_disabled while it waits
	Extra      map[string]any // incorrect_answer: what a strategy tells the app's backend, a wrong clock say; in development also what contradicts
	Unknown    bool           // unavailable: the step may have been taken; the same request with the same seed tells
	Faults     []Fault        // unavailable, of Ping: what does not work
	Cause      error          // unavailable: what could not be reached; for logs, never for callers
}

// A FieldError names one field of a request and what is wrong with it. It never repeats the field's value.
type FieldError struct{ Field, Reason string }

// Error says the stable name and, for logs, what lies behind it.
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

// Is compares by Code alone.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// What an engine's methods return; compare with errors.Is, and use errors.As with *Error for the details.
var (
	ErrInvalidRequest     = &Error{Code: "invalid_request"}
	ErrUnknownChallenge   = &Error{Code: "unknown_challenge"}
	ErrUnknownFactor      = &Error{Code: "unknown_factor"}
	ErrIncorrectAnswer    = &Error{Code: "incorrect_answer"}
	ErrAttemptsExhausted  = &Error{Code: "attempts_exhausted"}
	ErrChallengeExpired   = &Error{Code: "challenge_expired"}
	ErrChallengeCanceled  = &Error{Code: "challenge_canceled"}
	ErrChallengeApproved  = &Error{Code: "challenge_approved"}
	ErrNotAnswered        = &Error{Code: "not_answered"}
	ErrNotEnrolled        = &Error{Code: "not_enrolled"}
	ErrFactorDisabled     = &Error{Code: "factor_disabled"}
	ErrProofRequired      = &Error{Code: "proof_required"}
	ErrRateLimited        = &Error{Code: "rate_limited"}
	ErrTooManyGuesses     = &Error{Code: "too_many_guesses"}
	ErrResendTooSoon      = &Error{Code: "resend_too_soon"}
	ErrSendsExhausted     = &Error{Code: "sends_exhausted"}
	ErrDestinationRefused = &Error{Code: "destination_refused"}
	ErrReceiptUsed        = &Error{Code: "receipt_used"}
	ErrReceiptInvalid     = &Error{Code: "receipt_invalid"}
	ErrUnavailable        = &Error{Code: "unavailable"}

	ErrIdempotencyMismatch = &Error{Code: "idempotency_mismatch"}
	ErrIdempotencyInFlight = &Error{Code: "idempotency_in_flight"}
)

// What the seams return to the engine. They stay inside: the engine turns each into one of the errors above.
var (
	ErrNotFound = errors.New("watchword: not found")         // Store.Get and others; Factors
	ErrExists   = errors.New("watchword: exists already")    // Store.Create, Factors.Create
	ErrConflict = errors.New("watchword: changed meanwhile") // Update of Store and Factors: read again
	ErrClosed   = errors.New("watchword: closed already")    // Attempt, Close: somebody else won, or it was canceled or locked
	ErrExpired  = errors.New("watchword: expired")           // Attempt, Close: the entry's time is over
	ErrSpent    = errors.New("watchword: no tries left")     // Attempt: the entry's own tries are used up
	ErrMismatch = errors.New("watchword: wrong answer")      // Attempt and Verifier.Verify: charged, compared, and wrong
	ErrInFlight = errors.New("watchword: tries in flight")   // Close: still pending, as Closing.Idle says

	// ErrOutcomeUnknown is wrapped by errors of stores whose step may have been taken: a reply was lost. An error that
	// does not wrap it means that nothing was changed, and that nothing will be later.
	ErrOutcomeUnknown = errors.New("watchword: the outcome is unknown")
)

// A BudgetError is returned by Store.Attempt when the group's guess budget is spent: nothing was charged or compared.
type BudgetError struct{ RetryAfter time.Duration }

// Error says when to come back.
func (e *BudgetError) Error() string {
	return fmt.Sprintf("watchword: guess budget spent, retry after %s", e.RetryAfter)
}

// A LimitError is returned by Limiter.Take when a rule refuses: no bucket was charged.
type LimitError struct {
	Rule       string        // the rule's name in the configuration
	RetryAfter time.Duration // a Take after this long is not refused by what has been counted so far; never too early
}

// Error names the rule.
func (e *LimitError) Error() string {
	return fmt.Sprintf("watchword: limit %q, retry after %s", e.Rule, e.RetryAfter)
}

// A SendError is a Sender's refusal. Any other error of a Sender counts as one that may pass, and only its kind is logged.
type SendError struct {
	Permanent  bool          // this sender will never take this message: go on to the next one
	RetryAfter time.Duration // the earliest time that the provider wants to see it again; zero: it did not say
	Provider   string
	Cause      error // is logged: must not hold the recipient, the code or credentials, and so no text of the provider's
}

// Error names the provider and its cause.
func (e *SendError) Error() string { return fmt.Sprintf("%s: %v", e.Provider, e.Cause) }

// Unwrap returns the cause.
func (e *SendError) Unwrap() error { return e.Cause }

// invalid makes an invalid_request of one field.
func invalid(field, reason string) error {
	return &Error{Code: ErrInvalidRequest.Code, Fields: []FieldError{{field, reason}}}
}

// unavailable wraps what a store or limiter said. A context that the caller gave up stays recognisable.
func unavailable(cause error) error {
	return &Error{Code: ErrUnavailable.Code, Cause: cause, Unknown: errors.Is(cause, ErrOutcomeUnknown)}
}
