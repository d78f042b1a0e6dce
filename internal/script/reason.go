package script

import (
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// Failures of commands, in addition to those of package outbound.
const (
	noConnection outbound.Failure = "no free connection to the server in time"
	clientClosed outbound.Failure = "client is closed"
	unknownReply outbound.Failure = "server replied with an error"
)

// replyCodes lists the codes with which a server's errors begin, and a description of those that an operator can act on. The
// text after the code may repeat the command.
var replyCodes = map[string]outbound.Failure{"ASK": "", "BUSY": "", "CROSSSLOT": "", "EXECABORT": "", "MOVED": "", "NOSCRIPT": "", "TRYAGAIN": "", "UNKILLABLE": "",
	"WRONGTYPE": "", "NOREPLICAS": "",
	"CLUSTERDOWN": "Cluster does not serve every slot",
	"LOADING":     "server is loading its data",
	"MASTERDOWN":  "server is a replica that has lost its master",
	"MISCONF":     "server cannot save its data and takes no writes",
	"NOAUTH":      "server asks for a password",
	"NOPERM":      noPermission,
	"OOM":         "server's memory is full",
	"READONLY":    "server is a replica and takes no writes",
	"WRONGPASS":   "user or password is wrong",
}

// replyMeanings maps prefixes of errors without a code to descriptions.
var replyMeanings = map[string]outbound.Failure{
	"max number of clients reached":     "max number of clients reached",
	"The user executing the script can": noPermission, // Redis: ... can't run this command, ... can't access at least one of the keys
	"ACL failure in script":             noPermission, // Valkey
}

// noPermission describes NOPERM, and the errors of scripts with the same cause.
const noPermission outbound.Failure = "user has no right to a command or a key"

// Reason returns an error without text of the server or of go-redis, which may quote it: by the code of an error reply, or as
// outbound.Reason does. Retries and redirections depend on the original error, so call Reason last.
func Reason(err error) error {
	var reply redis.Error
	switch {
	case errors.Is(err, redis.ErrPoolTimeout), errors.Is(err, redis.ErrPoolExhausted):
		return noConnection
	case errors.Is(err, redis.ErrClosed):
		return clientClosed
	case !errors.As(err, &reply):
		return outbound.Reason(err)
	}
	text := strings.TrimPrefix(reply.Error(), "ERR ")
	for prefix, meaning := range replyMeanings {
		if strings.HasPrefix(text, prefix) {
			return meaning
		}
	}
	code, _, _ := strings.Cut(text, " ")
	meaning, known := replyCodes[code]
	switch {
	case !known:
		return unknownReply
	case meaning != "":
		return meaning + outbound.Failure(" ("+code+")")
	}
	return outbound.Failure("server replied " + code)
}
