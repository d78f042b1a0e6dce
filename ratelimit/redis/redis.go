// Package redis implements ratelimit.Store on Redis 7 or Valkey, so that any number of processes share their limits. It works with
// a single server, with Sentinel and on a Cluster. A Take is one script in one round trip, whatever the number of rules and buckets.
// Concurrent calls share round trips: two to a server are under way at the same time, and up to 1,024 calls wait for the next ones.
// The scripts use the server's clock.
//
// The windows of one app have the hash tag {prefix:app}, so they are on one node of a Cluster. All windows of apps with a rule by
// "all" have the hash tag {prefix}, because a script can only use keys of one node. A window is a string of 14 bytes for each
// event, at most 15 kB. Its key expires a second after its last event has ended.
//
// If a connection breaks, the script is not retried, because it may have run. Take then returns an error although its tokens may
// have been spent; tokens of a named take can be refunded. A script that has not run when its caller gives up does not run later.
// Configure the client with short time-outs and ContextTimeoutEnabled.
//
// A key whose value is not a valid window is deleted, and the window counts from zero, as if its key were lost. Otherwise it would
// refuse everybody for ever. Config.OnDamaged is called, except if the value has another type than string and a Take replaces it.
package redis

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/script"
	"github.com/watchword-auth/watchword/ratelimit"
)

var (
	//go:embed window.lua
	windowSource string
	//go:embed take.lua
	takeSource string
	//go:embed refund.lua
	refundSource string
	//go:embed single.lua
	singleSource string
)

// A Store implements ratelimit.Store on Redis. It is safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	cfg    Config
	lanes  *script.Lanes
	clocks *script.Clocks
	take   script.Timed
	refund script.Timed
	single script.Timed
}

var _ ratelimit.Store = (*Store)(nil)

// Config configures a Store.
type Config struct {
	Prefix    string            // required; keys begin with it, for example "watchword". Stores with the same prefix share windows
	OnDamaged func(windows int) // called with the number of damaged windows that were deleted; may be nil
	// OnRoundTrip is called before each round trip, with the number of commands that share it. It may be nil.
	OnRoundTrip func(commands int)
}

// New returns a store. It does not connect.
func New(client redis.UniversalClient, cfg Config) (*Store, error) {
	if cfg.Prefix == "" || strings.ContainsAny(cfg.Prefix, ":{}") {
		return nil, errors.New("ratelimit: the prefix of keys on Redis must not be empty or contain colons or braces")
	}
	if cfg.OnDamaged == nil {
		cfg.OnDamaged = func(int) {}
	}
	return newStore(client, cfg, windowSource), nil
}

func newStore(client redis.UniversalClient, cfg Config, window string) *Store {
	return &Store{
		client: client,
		cfg:    cfg,
		lanes:  script.NewLanes(client, cfg.OnRoundTrip),
		clocks: script.NewClocks(client),
		take:   script.NewTimed(window + takeSource),
		refund: script.NewTimed(window + refundSource),
		single: script.NewTimed(window + singleSource),
	}
}

// TakeAll implements ratelimit.Store.
func (s *Store) TakeAll(ctx context.Context, group, name string, charges []ratelimit.Charge) (*ratelimit.Refusal, error) {
	reply, err := s.parseReply(s.take.Run(ctx, s.clocks, s.lanes, s.windowKeys(group, name, charges), scriptArguments(charges)...))
	if err != nil {
		return nil, err
	}
	switch {
	case len(reply) == 0:
		return nil, nil
	case len(reply) == 2 && reply[0] >= 0 && reply[0] < int64(len(charges)):
		return &ratelimit.Refusal{Charge: int(reply[0]), RetryAfter: time.Duration(reply[1]) * time.Microsecond}, nil
	}
	return nil, errReply
}

// Refund implements ratelimit.Store.
func (s *Store) Refund(ctx context.Context, group, name string, charges []ratelimit.Charge) error {
	_, err := s.parseReply(s.refund.Run(ctx, s.clocks, s.lanes, s.windowKeys(group, name, charges), scriptArguments(charges)...))
	return err
}

// windowKeys returns the keys of the charges' windows and, if there is a name, the key that remembers it. No space begins with =.
func (s *Store) windowKeys(group, name string, charges []ratelimit.Charge) []string {
	tag := "{" + s.cfg.Prefix + "}:"
	if group != "" {
		tag = "{" + s.cfg.Prefix + ":" + group + "}:"
	}
	keys := make([]string, len(charges), len(charges)+1)
	for i := range charges {
		keys[i] = tag + charges[i].Space + ":" + charges[i].Key
	}
	if name != "" {
		keys = append(keys, tag+"="+name)
	}
	return keys
}

// scriptArguments returns the arguments that window.lua reads: the settings of all windows in one string, which is faster than
// parsing many numbers, and the lifetime of each window's key.
func scriptArguments(charges []ratelimit.Charge) []any {
	args := make([]any, 1, 2+len(charges))
	settings := make([]byte, 0, 24*len(charges))
	for i := range charges {
		c := &charges[i]
		length, resolution := microseconds(c.Rate.Period), microseconds(c.Resolution())
		settings = binary.LittleEndian.AppendUint32(settings, uint32(c.Rate.Limit))
		settings = binary.LittleEndian.AppendUint32(settings, uint32(c.Cost))
		settings = binary.LittleEndian.AppendUint64(settings, uint64(length))
		settings = binary.LittleEndian.AppendUint64(settings, uint64(resolution))
		args = append(args, (length+resolution)/1000+expiryMargin.Milliseconds())
	}
	args[0] = settings
	return args
}

// expiryMargin is how long a window's key is kept after its last event has ended, because the server's clock for scripts differs
// slightly from its clock for expiry.
const expiryMargin = time.Second

// microseconds rounds up.
func microseconds(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}

var errReply = errors.New("ratelimit: redis: unexpected reply")

// parseReply returns a script's reply without its first number, the number of damaged windows, which it reports to OnDamaged.
func (s *Store) parseReply(raw any, err error) ([]int64, error) {
	numbers, err := parseIntegers(raw, err)
	if err != nil {
		return nil, err
	}
	if len(numbers) == 0 {
		return nil, errReply
	}
	if damaged := numbers[0]; damaged > 0 {
		s.cfg.OnDamaged(int(damaged))
	}
	return numbers[1:], nil
}

// parseIntegers converts a script's reply. Its error leaves out the server's text, which may quote a command.
func parseIntegers(reply any, err error) ([]int64, error) {
	if err != nil {
		cause := script.Reason(err)
		if script.MayHaveRun(err) {
			cause = fmt.Errorf("%w: %w", watchword.ErrOutcomeUnknown, cause)
		}
		return nil, fmt.Errorf("ratelimit: redis: %w", cause)
	}
	items, ok := reply.([]any)
	numbers := make([]int64, len(items))
	for i, item := range items {
		n, isNumber := item.(int64)
		numbers[i], ok = n, ok && isNumber
	}
	if !ok {
		return nil, errReply
	}
	return numbers, nil
}
