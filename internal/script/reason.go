package script

import (
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// Why a command failed, beside what outbound names.
const (
	noConnection outbound.Failure = "no free connection to the server in time"
	clientClosed outbound.Failure = "client is closed"
	unknownReply outbound.Failure = "server replied with an error"
)

// replyCodes are the words with which a server's errors begin. The text behind them may repeat the command.
var replyCodes = []string{"ASK", "BUSY", "CLUSTERDOWN", "CROSSSLOT", "EXECABORT", "LOADING", "MASTERDOWN", "MISCONF", "MOVED", "NOAUTH",
	"NOPERM", "NOREPLICAS", "NOSCRIPT", "OOM", "READONLY", "TRYAGAIN", "UNKILLABLE", "WRONGPASS", "WRONGTYPE"}

// knownReplies are whole errors: of the server's the one that has no code and is worth telling apart.
var knownReplies = []string{"max number of clients reached"}

// Reason says why a command failed without repeating the server, or go-redis, which quotes it: by the code of an error
// reply, or as outbound.Reason does. Commands are repeated and redirected by the error as it came, so call it last.
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
	for _, known := range knownReplies {
		if strings.HasPrefix(text, known) {
			return outbound.Failure(known)
		}
	}
	code, _, _ := strings.Cut(text, " ")
	if !slices.Contains(replyCodes, code) {
		return unknownReply
	}
	return outbound.Failure("server replied " + code)
}
