// Package redis stores challenges and guess budgets in Redis 7 or later, or Valkey: a single server, a server behind Sentinel,
// or a Cluster. The caller opens a go-redis client, with the right settings by [Open], and closes it.
//
// # Commands and keys
//
// Each method of Store is one command: a GETRANGE, or a Lua script, which Redis runs atomically. It is one round trip, which
// concurrent calls share: two round trips to a server are under way at the same time, and calls that come meanwhile wait for the
// next, up to 64 in one and up to 1,024 in all. One more call fails at once. With Config.WaitReplicas, calls that write share no
// round trip.
//
// An entry is one string and a budget another. Both keys have the hash tag {prefix:partition}. The partition is computed from the part of the
// id before the dot, so that an entry and its budget are on the same node of a Cluster:
//
//	{watchword:59}:e:AbCdEfGhIjk.0123456789abcdefABCDEF   an entry, until its KeepUntil
//	{watchword:59}:b:AbCdEfGhIjk.any                      a budget, until its longest window has passed
//	{watchword:59}:o:shop                                 messages of an app that are due, a stream
//	{watchword:59}:d:shop                                 what is due later, a sorted set
//	{watchword:59}:x:shop                                 dead letters, a list of at most 1,000
//	{watchword:59}:eo:shop, :ed:shop, :ex:shop            the same for what happened to challenges
//	{watchword:59}:po:shop:ENDPOINT, :pd:, :px:           the same for the events of an endpoint
//	{watchword:59}:pg:shop:ENDPOINT                       a note that the endpoint is turned off
//
// Those from :o: to :ex: are of an Outbox, which is a Store that queues the messages of its entries too, and those from :po: on of an
// EventQueue.
//
// # Failures
//
// Expiry and budget windows use the server's clock. A command is not repeated when its connection is lost: the error wraps
// watchword.ErrOutcomeUnknown if the server may have executed it. A command has no effect after its caller's deadline: each
// script carries the deadline in the server's time, which the Store estimates from earlier replies.
//
// A value of more than 256 KiB is not read and counts as damaged. A damaged entry is treated as missing (watchword.ErrNotFound), and a new entry may replace it. A damaged budget is treated as
// empty. Config.Damaged is called for both.
//
// Redis must not evict keys (maxmemory-policy noeviction): evicting a budget would grant new tries, and evicting an entry would
// lose a challenge. Store.CheckPolicy returns an error for a server that evicts.
package redis

import (
	_ "embed" // the scripts
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/probe"
	"github.com/watchword-auth/watchword/internal/script"
)

// Config configures a Store. All processes that share a Redis need the same Prefix and Partitions; otherwise they do not see
// each other's entries and budgets.
type Config struct {
	// Prefix is the beginning of the hash tag of every key. The default is watchword.
	Prefix string
	// Partitions is the number of hash tags over which entries are distributed. The default is 1, and 64 on a Cluster. After a
	// change, existing entries and budgets are not found.
	Partitions int
	// WaitReplicas is how many replicas must acknowledge a write that closes an entry or changes its sealed data, before the
	// method returns. If fewer do, the error is ErrNotReplicated, although the write was made. From then on, and when Ping or
	// CheckPolicy find too few replicas online, methods return ErrTooFewReplicas and write nothing, until there are enough.
	// WaitReplicas costs a second round trip (WAIT). It makes it less likely that a failover reopens a closed challenge or a
	// spent receipt, but cannot exclude it, because Redis may promote another replica. The default is 0.
	WaitReplicas int
	// Timeout limits each call, including topology requests of a Cluster. The default is one second. The client needs
	// ContextTimeoutEnabled.
	Timeout time.Duration
	// Damaged is called with "entry" or "budget" when a damaged value was found. The default does nothing.
	Damaged func(what string)
	// OnRoundTrip is called before each round trip, with the number of commands that share it. The default does nothing.
	OnRoundTrip func(commands int)
}

//go:embed entry.lua
var entryLua string

//go:embed create.lua
var createLua string

//go:embed attempt.lua
var attemptLua string

//go:embed close.lua
var closeLua string

//go:embed update.lua
var updateLua string

// A Store implements watchword.Store and watchword.Pinger. It is safe for concurrent use.
type Store struct {
	client       redis.UniversalClient
	tags         []string // of each partition
	waitReplicas int
	replication  replication
	timeout      time.Duration
	damaged      func(what string)
	probes       probe.Gate
	lanes        *script.Lanes
	clocks       *script.Clocks
	readClock    script.Timed // does nothing
	create       script.Timed
	attempt      script.Timed
	closing      script.Timed
	update       script.Timed
}

var (
	_ watchword.Store  = (*Store)(nil)
	_ watchword.Pinger = (*Store)(nil)
)

// New returns a Store that uses client. It sends nothing; see CheckPolicy. The caller closes the client.
func New(client redis.UniversalClient, cfg Config) *Store {
	if cfg.Prefix == "" {
		cfg.Prefix = "watchword"
	}
	if cfg.Partitions <= 0 {
		cfg.Partitions = 1
		if _, cluster := client.(*redis.ClusterClient); cluster {
			cfg.Partitions = 64
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = time.Second
	}
	if cfg.Damaged == nil {
		cfg.Damaged = func(string) {}
	}
	s := &Store{client: client, waitReplicas: cfg.WaitReplicas, timeout: cfg.Timeout, damaged: cfg.Damaged,
		lanes: script.NewLanes(client, cfg.OnRoundTrip), clocks: script.NewClocks(client),
		readClock: script.NewTimed(`return 1`), create: script.NewTimed(entryLua + queueLua + createLua), attempt: script.NewTimed(entryLua + queueLua + attemptLua),
		closing: script.NewTimed(entryLua + queueLua + closeLua), update: script.NewTimed(entryLua + queueLua + outboxLua + updateLua)}
	for p := range cfg.Partitions {
		s.tags = append(s.tags, "{"+cfg.Prefix+":"+strconv.Itoa(p)+"}")
	}
	return s
}

func (s *Store) entryKey(id string) string      { return s.hashTag(id) + ":e:" + id }
func (s *Store) budgetKey(budget string) string { return s.hashTag(budget) + ":b:" + budget }

// hashTag returns the hash tag of all ids that begin with the same part. The hash function (FNV-1a) must never change.
func (s *Store) hashTag(id string) string { return s.tags[s.partitionOf(id)] }

// partitionOf returns the number of the partition of an id.
func (s *Store) partitionOf(id string) int {
	if len(s.tags) == 1 {
		return 0
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(groupOf(id)))
	return int(h.Sum32() % uint32(len(s.tags)))
}

// groupOf returns the part of an id before its dot.
func groupOf(id string) string {
	part, _, _ := strings.Cut(id, ".")
	return part
}
