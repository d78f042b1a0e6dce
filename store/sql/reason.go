package sql

import (
	"errors"
	"regexp"

	"github.com/watchword-auth/watchword/internal/outbound"
)

var statePattern = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// reason says why a statement failed. A reply of a server is named by its SQLSTATE, because its text may repeat values,
// and what happened on the way by its kind. Any other error is the driver's own.
func reason(err error) error {
	var reply interface{ SQLState() string }
	if errors.As(err, &reply) {
		if state := reply.SQLState(); statePattern.MatchString(state) {
			return outbound.Failure("server replied SQLSTATE " + state)
		}
		return outbound.Failure("server replied with an error")
	}
	if kind := outbound.Reason(err); !errors.Is(kind, outbound.ExchangeFailed) {
		return kind
	}
	return err
}
