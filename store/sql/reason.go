package sql

import (
	"errors"
	"regexp"

	"github.com/watchword-auth/watchword/internal/outbound"
)

var statePattern = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// stateMeanings are those that mean something to whoever runs a server (PostgreSQL, Appendix A).
var stateMeanings = map[string]outbound.Failure{
	"25006": "database is read-only",
	"28000": "user may not connect",
	"28P01": "password is wrong",
	"3D000": "there is no such database",
	"42501": "user has no right to the table",
	"42P01": "table is missing",
	"53100": "disk is full",
	"53300": "too many connections",
	"57P03": "server is starting or ending",
}

// describeError says why a statement failed. A reply of a server is named by its SQLSTATE, because its text may repeat values,
// and what happened on the way by its kind. Any other error is the driver's own.
func describeError(err error) error {
	var reply interface{ SQLState() string }
	if errors.As(err, &reply) {
		state := reply.SQLState()
		if meaning := stateMeanings[state]; meaning != "" {
			return meaning + outbound.Failure(" (SQLSTATE "+state+")")
		}
		if statePattern.MatchString(state) {
			return outbound.Failure("server replied SQLSTATE " + state)
		}
		return outbound.Failure("server replied with an error")
	}
	if kind := outbound.Reason(err); !errors.Is(kind, outbound.ExchangeFailed) {
		return kind
	}
	return err
}
