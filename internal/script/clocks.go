package script

import (
	"context"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Clocks estimates the clocks of a client's servers: one clock for a single server, also behind Sentinel, and one for each hash
// slot of a Cluster. The estimates are discarded when the client connects to another server, for example after a failover.
// If a slot moves to a node that is already connected, the first reply from there corrects the estimate.
type Clocks struct {
	started time.Time     // times in this package are durations since then, by the monotonic clock
	timeout time.Duration // the client's read timeout; 0: only the context's deadline counts
	cluster bool
	single  clock
	slots   []atomic.Pointer[clock] // of a Cluster; nil for a single server, which has no slots
	dials   atomic.Int64
}

// noLimit is the limit of a call whose context has no deadline.
const noLimit = 5 * time.Second

// NewClocks returns Clocks for a client, without estimates. It sends nothing.
func NewClocks(client redis.UniversalClient) *Clocks {
	c := &Clocks{started: time.Now()}
	c.single.clocks = c
	switch client := client.(type) {
	case *redis.Client:
		c.timeout = client.Options().ReadTimeout
		client.AddHook(&dialCounter{clocks: c})
	case *redis.ClusterClient:
		c.cluster, c.timeout, c.slots = true, client.Options().ReadTimeout, make([]atomic.Pointer[clock], slots)
		client.OnNewNode(func(node *redis.Client) { node.AddHook(&dialCounter{clocks: c}) })
	}
	return c
}

func (c *Clocks) now() time.Duration { return time.Since(c.started) }

// deadlineOf returns the deadline of a call's context.
func (c *Clocks) deadlineOf(ctx context.Context) time.Duration {
	if until, ok := ctx.Deadline(); ok {
		return c.now() + time.Until(until)
	}
	return c.now() + noLimit
}

// answerDeadline returns until when the client waits for the reply to a command that is written now.
func (c *Clocks) answerDeadline(end time.Duration) time.Duration {
	if c.timeout > 0 {
		return min(end, c.now()+c.timeout)
	}
	return end
}

// forKeys returns the clock of the server that stores the keys.
func (c *Clocks) forKeys(keys []string) *clock {
	if !c.cluster || len(keys) == 0 {
		return &c.single
	}
	_, tag, _ := strings.Cut(keys[0], "{")
	tag, _, _ = strings.Cut(tag, "}")
	slot := &c.slots[hashSlot(tag)]
	if cached := slot.Load(); cached != nil {
		return cached
	}
	slot.CompareAndSwap(nil, &clock{clocks: c})
	return slot.Load()
}

// slots is the number of hash slots of a Cluster.
const slots = 1 << 14

// hashSlot returns the slot of a hash tag: CRC-16/XMODEM modulo slots (Redis Cluster specification, "Key distribution model").
func hashSlot(tag string) int {
	var crc uint16
	for _, b := range []byte(tag) {
		crc ^= uint16(b) << 8
		for range 8 {
			carry := crc >> 15
			crc = crc<<1 ^ carry*0x1021
		}
	}
	return int(crc % slots)
}

// A clock estimates a server's clock: ahead is a lower bound of how far it is ahead of this process's, in µs.
type clock struct {
	clocks *Clocks
	mu     sync.Mutex
	ahead  int64
	at     time.Duration // of the latest reply
	dials  int64         // Clocks.dials at that time; if it has changed, the server may be another one
	known  bool
}

// drift is how fast two clocks may diverge: by one part in so many (500 ppm).
const drift = 2000

// update corrects the estimate with a reply: the server's time was read between sent and received, over a connection that was made
// before so many dials. The estimate is a lower bound, so a deadline is never too late by the clock of that server.
func (c *clock) update(sent, received time.Duration, server, dials int64) {
	low, high := server-received.Microseconds(), server-sent.Microseconds()
	c.mu.Lock()
	defer c.mu.Unlock()
	aged := c.ahead - (received-c.at).Microseconds()/drift
	if c.known && c.dials == dials && aged <= high {
		low = max(low, aged)
	}
	c.ahead, c.at, c.dials, c.known = low, received, dials, true
}

// serverTime converts a time to the server's clock. The result may be early and is never late. It is 0 if there is no estimate.
func (c *clock) serverTime(t time.Duration) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || c.dials != c.clocks.dials.Load() {
		return 0
	}
	aged := c.ahead - (c.clocks.now()-c.at).Microseconds()/drift
	return t.Microseconds() + aged
}

// A dialCounter is a hook that increments Clocks.dials when a client connects to another address than before, for example after
// a failover. This discards the estimates.
type dialCounter struct {
	clocks *Clocks
	mu     sync.Mutex
	last   string
}

// DialHook records the address of each new connection.
func (d *dialCounter) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		if err == nil {
			d.countConnection(conn.RemoteAddr().String())
		}
		return conn, err
	}
}

func (d *dialCounter) countConnection(to string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if to != d.last {
		d.last = to
		d.clocks.dials.Add(1)
	}
}

// ProcessHook changes nothing.
func (d *dialCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook changes nothing.
func (d *dialCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
