package delivery

import (
	"context"
	"errors"

	"github.com/watchword-auth/watchword"
)

// An unwantedError ends the sending of a message whose challenge has ended, or was sent again, while a provider was called. The cause
// is ErrClosed, ErrExpired or ErrNotFound.
type unwantedError struct{ cause error }

// Error says that the message is not wanted.
func (e *unwantedError) Error() string { return "the message is no longer wanted: " + e.cause.Error() }

// Unwrap returns the cause.
func (e *unwantedError) Unwrap() error { return e.cause }

// isUnwanted reports whether an error of the engine means that a message must not be sent any more.
func isUnwanted(err error) bool {
	return errors.Is(err, watchword.ErrExpired) || errors.Is(err, watchword.ErrClosed) || errors.Is(err, watchword.ErrNotFound)
}

// checkWanted looks again, after a call, whether a message may be sent. An *unwantedError: it must not. If that is unknown, the error
// is temporary, and nothing is sent either.
func checkWanted(ctx context.Context, m watchword.Message) error {
	err := m.StillWanted(ctx)
	switch {
	case err == nil:
		return nil
	case isUnwanted(err):
		return &unwantedError{err}
	}
	return &watchword.SendError{Provider: "engine", Cause: err}
}
