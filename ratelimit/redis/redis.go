// Package redis keeps the windows of ratelimit on Redis 7 or Valkey, where any number of processes share them: single,
// behind Sentinel, or on a Cluster. A Take is one script and one round trip, whatever the number of rules and buckets,
// and its time is the server's, so the clocks of the processes do not matter.
//
// The windows of one app carry one hash tag, {prefix:app}, and so live on one node of a Cluster; the windows of apps with
// a rule by "all" carry the tag {prefix}, all of them, or one step could not reach them. A window is a string of 14
// octets an event, at most 15 kB; it leaves a second after its last event has stopped to count.
//
// A script is not repeated when its connection breaks, since it may have run: the Take then fails, though its tokens may
// have been spent; a named one can be given back. One that has not run when its caller gives up does not run later. Give
// the client short time-outs, and contexts that end (ContextTimeoutEnabled).
//
// What stands in a window's place and cannot be one is removed, and the window counts from nothing, as if its key were lost:
// it would refuse everybody for ever. Config.Damaged hears of it, but for what is no string and is about to be charged,
// which is replaced without a word.
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

// A Store keeps windows on Redis. Safe for concurrent use.
type Store struct {
	client redis.UniversalClient
	cfg    Config
	clocks *script.Clocks
	take   script.Timed
	refund script.Timed
	single script.Timed
}

var _ ratelimit.Store = (*Store)(nil)

// Config is how a Store uses its Redis.
type Config struct {
	Prefix    string            // with which keys begin, "watchword" say; stores with the same one share their windows; required
	OnDamaged func(windows int) // called when so many windows were damaged and count from nothing now; nil: nobody hears of it
}

// New makes a store. Nothing is sent to the server.
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
		clocks: script.NewClocks(client),
		take:   script.NewTimed(window + takeSource),
		refund: script.NewTimed(window + refundSource),
		single: script.NewTimed(window + singleSource),
	}
}

// TakeAll implements ratelimit.Store.
func (s *Store) TakeAll(ctx context.Context, group, name string, charges []ratelimit.Charge) (*ratelimit.Refusal, error) {
	reply, err := s.parseReply(s.take.Run(ctx, s.clocks, s.client, s.windowKeys(group, name, charges), scriptArguments(charges)...))
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
	_, err := s.parseReply(s.refund.Run(ctx, s.clocks, s.client, s.windowKeys(group, name, charges), scriptArguments(charges)...))
	return err
}

// windowKeys are those of the charges' windows and, if there is a name, the one that remembers it. No space begins with =.
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

// scriptArguments is what window.lua reads: the settings of all windows in one string, since a script pays for each number
// that it has to parse, and how long each is kept.
func scriptArguments(charges []ratelimit.Charge) []any {
	args := make([]any, 1, 2+len(charges))
	settings := make([]byte, 0, 24*len(charges))
	for i := range charges {
		c := &charges[i]
		length, grain := microseconds(c.Rate.Period), microseconds(c.Resolution())
		settings = binary.LittleEndian.AppendUint32(settings, uint32(c.Rate.Limit))
		settings = binary.LittleEndian.AppendUint32(settings, uint32(c.Cost))
		settings = binary.LittleEndian.AppendUint64(settings, uint64(length))
		settings = binary.LittleEndian.AppendUint64(settings, uint64(grain))
		args = append(args, (length+grain)/1000+expiryMargin.Milliseconds())
	}
	args[0] = settings
	return args
}

// expiryMargin is for how long a window is kept after its last event ended: the server reads one clock for the events and
// another, slightly earlier one for its keys.
const expiryMargin = time.Second

// microseconds rounds up.
func microseconds(d time.Duration) int64 {
	return int64((d + time.Microsecond - 1) / time.Microsecond)
}

var errReply = errors.New("ratelimit: redis: unexpected reply")

// parseReply reads what a script says, but for how many windows were damaged, which is reported.
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

// parseIntegers reads a script's reply. Its error repeats nothing of the server's, which may repeat a command.
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
