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

// ErrTooLate means that the server refused a script because its caller had given up by then. Nothing was done.
const ErrTooLate outbound.Failure = "refused, because its caller's time was over"

// A Timed script takes effect before its caller gives up, or not at all: a server that was stopped, or a packet that was
// held up, does nothing later. The body sees the server's time as now, in µs since 1970.
type Timed struct{ *Script }

// NewTimed names a timed script. Its last argument, which the body does not see, is when it comes too late by the server's
// clock. It answers with the server's time and, unless it came too late, what the body returned.
func NewTimed(body string) Timed {
	return Timed{New(`local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if now >= tonumber(table.remove(ARGV)) then
	return {now}
end
local reply = (function()
` + body + `
end)()
if type(reply) == 'table' and reply.err then
	return reply
end
return {now, reply or false}`)}
}

// maxLateTries bounds how often a script is sent again that the server refused as too late while its caller still waits:
// what is known of the server's clock was wrong, and each refusal brings it up to date.
const maxLateTries = 5

// Run executes the script as Script.Run does. clocks are those of the client that c is, or is a connection of. ErrLate
// means that nothing was done.
func (t Timed) Run(ctx context.Context, clocks *Clocks, c Client, keys []string, args ...any) (any, error) {
	clock := clocks.forKeys(keys)
	limit := clocks.deadlineOf(ctx)
	written := &deadline{clock: clock, end: limit}
	args = append(args, written)
	for range maxLateTries {
		sent := clocks.now()
		reply, err := t.Script.Run(ctx, c, keys, args...)
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
		clock.learn(sent, received, server, written.dials)
		if len(parts) == 2 {
			return bodyReply(parts[1])
		}
		if received >= limit {
			break
		}
	}
	return nil, ErrTooLate
}

const errReply outbound.Failure = "unexpected reply of a script"

// bodyReply is what a script's body returned; redis.Nil if that is nothing.
func bodyReply(reply any) (any, error) {
	if reply == nil {
		return nil, redis.Nil
	}
	if err, failed := reply.(error); failed {
		return nil, err
	}
	return reply, nil
}

// deadline is a script's argument: when it comes too late by the server's clock. It is computed when the command is
// written, since it knows of the connection that was made for it then, and the client's time-out begins.
type deadline struct {
	clock *clock
	end   time.Duration // of the caller's context
	dials int64         // Clocks.dials when it was written
}

// MarshalBinary is how go-redis writes an argument.
func (d *deadline) MarshalBinary() ([]byte, error) {
	d.dials = d.clock.clocks.dials.Load()
	return strconv.AppendInt(nil, d.clock.serverTime(d.clock.clocks.answerDeadline(d.end)), 10), nil
}

// MayHaveRun reports whether a command that ended with this error may have been carried out: it was sent, and no answer
// came. What the server refused, and what never left, was not.
func MayHaveRun(err error) bool {
	if err == nil || errors.Is(err, ErrTooLate) || errors.Is(err, redis.ErrPoolTimeout) || errors.Is(err, redis.ErrClosed) {
		return false
	}
	var answered redis.Error
	if errors.As(err, &answered) {
		return false
	}
	var network *net.OpError
	return !errors.As(err, &network) || network.Op != "dial"
}
