// Package redis implements delivery.Counters on Redis 7 or Valkey, so that any number of processes share their counts. It works
// with a single server, with Sentinel and on a Cluster. Each method runs one script in one round trip and uses the server's
// clock.
//
// The keys of an app have the hash tag {prefix:counts:app}, so they are on one node of a Cluster: a hash of a few kilobytes for
// each counted key, and two sorted sets. All keys expire.
package redis

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/script"
)

var (
	//go:embed add.lua
	addSource string
	//go:embed refuse.lua
	refuseSource string
	//go:embed refused.lua
	refusedSource string
	//go:embed probe.lua
	probeSource string
)

// Counters implement delivery.Counters on Redis. They are safe for concurrent use.
type Counters struct {
	lanes   *script.Lanes
	prefix  string
	clocks  *script.Clocks
	add     script.Timed
	refuse  script.Timed
	refused script.Timed
	probe   script.Timed
}

var _ delivery.Counters = (*Counters)(nil)

// New returns counters whose keys on Redis begin with the prefix, for example "watchword". Counters with the same prefix share
// their counts. New does not connect.
func New(client redis.UniversalClient, prefix string) (*Counters, error) {
	if prefix == "" || strings.ContainsAny(prefix, ":{}") {
		return nil, errors.New("delivery: the prefix of keys on Redis must not be empty or contain colons or braces")
	}
	return &Counters{lanes: script.NewLanes(client, nil), prefix: prefix, clocks: script.NewClocks(client),
		add: script.NewTimed(addSource), refuse: script.NewTimed(refuseSource), refused: script.NewTimed(refusedSource),
		probe: script.NewTimed(probeSource)}, nil
}

// Names of an app's keys on Redis, after the hash tag.
const (
	batchKey   = "=" // followed by the ID of a batch
	keysKey    = "keys"
	refusedKey = "refused"
	countsKey  = "of:" // followed by the counted key
	probeKey   = "?"   // followed by a word
)

// Ping executes every command of the other scripts on keys of its own, which it removes. They are where the app's keys are.
func (c *Counters) Ping(ctx context.Context, app string) error {
	_, err := c.probe.Run(ctx, c.clocks, c.lanes, []string{c.appKey(app, probeKey+"set"), c.appKey(app, probeKey+"hash"), c.appKey(app, probeKey+"text")})
	if err != nil {
		return wrapError(err)
	}
	return nil
}

func (c *Counters) appKey(app, name string) string {
	return "{" + c.prefix + ":counts:" + app + "}:" + name
}

// Add implements delivery.Counters.
func (c *Counters) Add(ctx context.Context, app string, b delivery.Batch) ([]delivery.Count, error) {
	keys := []string{c.appKey(app, batchKey+b.ID), c.appKey(app, keysKey)}
	args := []any{delivery.BatchIDLifetime.Milliseconds(), delivery.MaxCounterKeys, b.Oldest, b.Keep.Milliseconds()}
	var names []string
	number := map[string]int{} // from 1
	for _, count := range b.Counts {
		if number[count.Key] == 0 {
			names = append(names, count.Key)
			number[count.Key] = len(names)
			keys, args = append(keys, c.appKey(app, countsKey+count.Key)), append(args, count.Key)
		}
	}
	for _, count := range b.Counts {
		args = append(args, number[count.Key], count.Slot, count.Sent, count.Verified)
	}
	reply, err := parseList(c.add.Run(ctx, c.clocks, c.lanes, keys, args...))
	if err != nil {
		return nil, err
	}
	return parseCounts(reply, names)
}

func parseCounts(reply []any, names []string) ([]delivery.Count, error) {
	if len(reply)%4 != 0 {
		return nil, errReply
	}
	out := make([]delivery.Count, len(reply)/4)
	for i := range out {
		var n [4]int64
		for k := range n {
			var ok bool
			if n[k], ok = reply[4*i+k].(int64); !ok {
				return nil, errReply
			}
		}
		if n[0] < 1 || n[0] > int64(len(names)) {
			return nil, errReply
		}
		out[i] = delivery.Count{Key: names[n[0]-1], Slot: n[1], Sent: n[2], Verified: n[3]}
	}
	return out, nil
}

// Refuse implements delivery.Counters.
func (c *Counters) Refuse(ctx context.Context, app, key string, d time.Duration) (bool, error) {
	keys := []string{c.appKey(app, refusedKey), c.appKey(app, keysKey), c.appKey(app, countsKey+key)}
	reply, err := c.refuse.Run(ctx, c.clocks, c.lanes, keys, key, d.Milliseconds(), delivery.MaxCounterKeys)
	if err != nil {
		return false, wrapError(err)
	}
	return reply == int64(1), nil
}

// Refused implements delivery.Counters.
func (c *Counters) Refused(ctx context.Context, app string) (map[string]time.Duration, error) {
	reply, err := parseList(c.refused.Run(ctx, c.clocks, c.lanes, []string{c.appKey(app, refusedKey)}, delivery.MaxCounterKeys))
	if err != nil {
		return nil, err
	}
	if len(reply)%2 != 0 {
		return nil, errReply
	}
	out := make(map[string]time.Duration, len(reply)/2)
	for i := 0; i < len(reply); i += 2 {
		key, isText := reply[i].(string)
		ms, isNumber := reply[i+1].(int64)
		if !isText || !isNumber {
			return nil, errReply
		}
		out[key] = time.Duration(ms) * time.Millisecond
	}
	return out, nil
}

var errReply = errors.New("delivery: redis: unexpected reply")

// parseList converts the reply of a script to a list.
func parseList(reply any, err error) ([]any, error) {
	if err != nil {
		return nil, wrapError(err)
	}
	list, ok := reply.([]any)
	if !ok {
		return nil, errReply
	}
	return list, nil
}

// wrapError leaves out the server's text, which may quote a command.
func wrapError(err error) error { return fmt.Errorf("delivery: redis: %w", script.Reason(err)) }
