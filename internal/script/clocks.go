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

// Clocks are what is known of the clocks of a client's servers. A single server, also behind Sentinel, has one. On a
// Cluster each hash slot has one. What is known is forgotten when another server is connected to, after a failover say; where
// a slot moves to a node that is connected already, the first answer from there brings it up to date.
type Clocks struct {
	started time.Time     // times in this package are durations since then, by the monotonic clock
	timeout time.Duration // for how long the client waits for an answer; 0: as long as the context
	cluster bool
	single  clock
	slots   [slots]atomic.Pointer[clock] // of a Cluster
	dials   atomic.Int64
}

// noLimit bounds a call whose context and client have no limit.
const noLimit = 5 * time.Second

// NewClocks begins to learn the clocks of a client's servers. Nothing is sent.
func NewClocks(client redis.UniversalClient) *Clocks {
	c := &Clocks{started: time.Now()}
	c.single.clocks = c
	switch client := client.(type) {
	case *redis.Client:
		c.timeout = client.Options().ReadTimeout
		client.AddHook(&dialCounter{clocks: c})
	case *redis.ClusterClient:
		c.cluster, c.timeout = true, client.Options().ReadTimeout
		client.OnNewNode(func(node *redis.Client) { node.AddHook(&dialCounter{clocks: c}) })
	}
	return c
}

func (c *Clocks) now() time.Duration { return time.Since(c.started) }

// deadlineOf is when the context of a call does.
func (c *Clocks) deadlineOf(ctx context.Context) time.Duration {
	if until, ok := ctx.Deadline(); ok {
		return c.now() + time.Until(until)
	}
	return c.now() + noLimit
}

// answerDeadline is when the caller of a command that is being written does not wait for its answer any more.
func (c *Clocks) answerDeadline(end time.Duration) time.Duration {
	if c.timeout > 0 {
		return min(end, c.now()+c.timeout)
	}
	return end
}

// forKeys is the clock of the server that has the keys.
func (c *Clocks) forKeys(keys []string) *clock {
	if !c.cluster || len(keys) == 0 {
		return &c.single
	}
	_, tag, _ := strings.Cut(keys[0], "{")
	tag, _, _ = strings.Cut(tag, "}")
	slot := &c.slots[hashSlot(tag)]
	if known := slot.Load(); known != nil {
		return known
	}
	slot.CompareAndSwap(nil, &clock{clocks: c})
	return slot.Load()
}

// slots is how many hash slots a Cluster has.
const slots = 1 << 14

// hashSlot is a hash tag's slot: CRC-16/XMODEM, modulo slots (Redis Cluster specification, "Key distribution model").
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

// A clock is what is known of one server's: by how much, in µs, it is at least ahead of ours.
type clock struct {
	clocks *Clocks
	mu     sync.Mutex
	ahead  int64
	at     time.Duration // of the latest answer
	dials  int64         // Clocks.dials at that time; fewer than now: it may be another server's
	known  bool
}

// drift is how much two clocks may go apart, one part in so many: 500 ppm.
const drift = 2000

// learn takes in what a server's clock showed at a moment between two of ours, over a connection that was made before so many
// dials. How far it is ahead is then known but for the time that the command took; the estimate is never too high, so a
// deadline is never too late by the clock of the server that answered.
func (c *clock) learn(sent, received time.Duration, server, dials int64) {
	low, high := server-received.Microseconds(), server-sent.Microseconds()
	c.mu.Lock()
	defer c.mu.Unlock()
	aged := c.ahead - (received-c.at).Microseconds()/drift
	if c.known && c.dials == dials && aged <= high {
		low = max(low, aged)
	}
	c.ahead, c.at, c.dials, c.known = low, received, dials, true
}

// serverTime is one of our times by the server's clock, or a little earlier. Of a server that has not answered yet it is
// long over.
func (c *clock) serverTime(t time.Duration) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || c.dials != c.clocks.dials.Load() {
		return 0
	}
	aged := c.ahead - (c.clocks.now()-c.at).Microseconds()/drift
	return t.Microseconds() + aged
}

// dialCounter notices that a client is connected to another server than before, after a failover say: what was known of the
// clock is not believed any more.
type dialCounter struct {
	clocks *Clocks
	mu     sync.Mutex
	last   string
}

// DialHook looks at who was reached.
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
