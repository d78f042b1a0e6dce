package script

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// ErrTooLate means that a script arrived at the server after its deadline. It had no effect.
const ErrTooLate outbound.Failure = "refused, because its caller's time was over"

// A Timed script has no effect after its caller's deadline, even if the server was paused or a packet was delayed. The variable
// now is the server's time, in µs since 1970.
type Timed struct{ *Script }

// NewTimed returns a Timed script with a body. Its last argument, which the body does not see, is the deadline by the server's
// clock. Its reply is the server's time and, unless the deadline has passed, the reply of the body. A body that returns a text may
// return the rest of it as a second value, because Lua hashes every string that it makes.
func NewTimed(body string) Timed {
	return Timed{New(`local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if now >= tonumber(table.remove(ARGV)) then
	return {now}
end
local reply, rest = (function()
` + body + `
end)()
if type(reply) == 'table' and reply.err then
	return reply
end
return {now, reply or false, rest}`)}
}

// maxLateTries is how often a script is sent if the server refuses it as too late before the caller's deadline: the estimate of
// the server's clock was wrong, and each refusal corrects it.
const maxLateTries = 5

// Run executes the script like Script.Run. clocks must belong to the client of c. After ErrTooLate the script had no effect.
func (t Timed) Run(ctx context.Context, clocks *Clocks, c Client, keys []string, args ...any) (any, error) {
	clock := clocks.forKeys(keys)
	limit := clocks.deadlineOf(ctx)
	written := &deadline{clock: clock, end: limit}
	line := t.command(keys, args, written)
	for range maxLateTries {
		sent := clocks.now()
		reply, err := t.send(ctx, c, line)
		if err != nil {
			return nil, err
		}
		received := clocks.now()
		parts, ok := reply.([]any)
		if !ok || len(parts) == 0 {
			return nil, errReply
		}
		server, ok := parts[0].(int64)
		if !ok {
			return nil, errReply
		}
		clock.update(sent, received, server, written.dials)
		if len(parts) > 1 {
			return bodyReply(parts[1:])
		}
		if received >= limit {
			break
		}
	}
	return nil, ErrTooLate
}

const errReply outbound.Failure = "unexpected reply of a script"

// bodyReply returns the reply of a script's body, which has one or two parts. The error for a nil reply is redis.Nil.
func bodyReply(parts []any) (any, error) {
	switch reply := parts[0].(type) {
	case nil:
		return nil, redis.Nil
	case error:
		return nil, reply
	case string:
		if len(parts) == 1 {
			return reply, nil
		}
		if rest, ok := parts[1].(string); ok {
			return reply + rest, nil
		}
		return nil, errReply
	default:
		return reply, nil
	}
}

// A deadline is a script's argument: the deadline by the server's clock. It is computed when the command is written, because
// only then its connection is known and the client's read timeout begins.
type deadline struct {
	clock *clock
	end   time.Duration // of the caller's context
	dials int64         // Clocks.dials when it was written
}

// MarshalBinary implements encoding.BinaryMarshaler, which go-redis calls to write an argument.
func (d *deadline) MarshalBinary() ([]byte, error) {
	d.dials = d.clock.clocks.dials.Load()
	return strconv.AppendInt(nil, d.clock.serverTime(d.clock.clocks.answerDeadline(d.end)), 10), nil
}

// MayHaveRun reports whether a command that returned err may have been executed: it was sent, and no reply was received.
func MayHaveRun(err error) bool {
	if err == nil || errors.Is(err, ErrTooLate) || errors.Is(err, errNotSent) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) {
		return false
	}
	var answered redis.Error
	if errors.As(err, &answered) {
		return false
	}
	var network *net.OpError
	return !errors.As(err, &network) || network.Op != "dial"
}
