package sql

import (
	"errors"
	"regexp"

	"github.com/watchword-auth/watchword/internal/outbound"
)

var statePattern = regexp.MustCompile(`^[0-9A-Z]{5}$`)

// stateMeanings describes the SQLSTATE codes that an operator can act on (PostgreSQL, Appendix A).
var stateMeanings = map[string]outbound.Failure{
	"08P01": "connection pooler has no connection to the server, or refuses a setting of the URL",
	"25006": "database is read-only",
	"28000": "user may not connect",
	"28P01": "password is wrong",
	"3D000": "there is no such database",
	"42501": "user has no right to the table",
	"42P01": "table is missing",
	"53100": "disk is full",
	"53300": "server gives no more connections",
	"57P03": "server is starting or ending",
}

// DescribeError returns an error without the server's text, which may repeat values: an error reply is described by its
// SQLSTATE, a network error by its kind. Any other error is the driver's own and returned unchanged.
func DescribeError(err error) error {
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
