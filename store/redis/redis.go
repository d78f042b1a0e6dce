// Package redis keeps challenges and guess budgets in Redis 7 or later, or Valkey: one server, one behind Sentinel, or a
// Cluster, through a go-redis client that the caller opens (Open does it with the right settings) and closes.
//
// Each method of Store is one command and one round trip: a GET, or one Lua script, which Redis runs as one step.
// An entry is one string and its budget another; both carry the hash tag {prefix:partition}, where the partition is
// computed from the part of the id before the dot, so on a Cluster too a script finds them on one node. Keys:
//
//	{watchword:59}:e:AbCdEfGhIjk.0123456789abcdefABCDEF   an entry, until its KeepUntil
//	{watchword:59}:b:AbCdEfGhIjk.any                      a budget, until its longest window has passed
//
// Windows and expiry run on the server's clock. Nothing is repeated when a connection is cut: the caller gets an error
// that wraps watchword.ErrOutcomeUnknown if the step may have been taken. A step that has not been taken when its caller
// gives up is not taken later: each script carries a deadline in the server's own time, whose difference from ours is
// learned from its answers.
//
// What stands in an entry's place and cannot be one is as good as none (watchword.ErrNotFound), and a new entry takes its
// place; what cannot be a budget counts from nothing, as if its key were lost. Config.Damaged hears of both.
//
// Redis must not evict (maxmemory-policy noeviction): an evicted budget is a fresh one, an evicted entry a lost
// challenge. CheckPolicy refuses a server that would.
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

// Config is how a Store uses its Redis. Zero values are the defaults. All processes that share a Redis need the same
// Prefix and Partitions, or they do not see each other's entries and budgets.
type Config struct {
	// Prefix begins the hash tag of every key; by default watchword.
	Prefix string
	// Partitions is how many hash tags entries are spread over; by default 1, and 64 on a Cluster. Changing it loses what
	// is alive.
	Partitions int
	// WaitReplicas is how many replicas must have what closes an entry or changes its sealed data before the caller hears
	// of it; fewer are ErrNotReplicated though the step was taken. After that, and where Ping or CheckPolicy find fewer
	// online, nothing is tried until enough are: ErrTooFewReplicas. It costs a second round trip (WAIT), and narrows the
	// time in which a failover could reopen a closed challenge or a spent receipt; it does not end it, because Redis may
	// still promote another replica. By default 0: nobody waits.
	WaitReplicas int
	// Timeout bounds each call, topology look-ups of a Cluster included; by default one second. The client needs
	// ContextTimeoutEnabled for it.
	Timeout time.Duration
	// Damaged is called when something was found that is no entry or no budget: what it should have been, "entry" or
	// "budget". By default nobody hears of it.
	Damaged func(what string)
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

// A Store is a watchword.Store and watchword.Pinger on Redis. It is safe for concurrent use.
type Store struct {
	client       redis.UniversalClient
	tags         []string // of each partition
	waitReplicas int
	replication  replication
	timeout      time.Duration
	damaged      func(what string)
	probes       probe.Gate
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

// New makes a Store of a client. Nothing is sent yet; see CheckPolicy. Whoever opened the client closes it.
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
	s := &Store{client: client, waitReplicas: cfg.WaitReplicas, timeout: cfg.Timeout, damaged: cfg.Damaged, clocks: script.NewClocks(client),
		readClock: script.NewTimed(`return 1`), create: script.NewTimed(entryLua + createLua), attempt: script.NewTimed(entryLua + attemptLua),
		closing: script.NewTimed(entryLua + closeLua), update: script.NewTimed(entryLua + updateLua)}
	for p := range cfg.Partitions {
		s.tags = append(s.tags, "{"+cfg.Prefix+":"+strconv.Itoa(p)+"}")
	}
	return s
}

func (s *Store) entryKey(id string) string      { return s.hashTag(id) + ":e:" + id }
func (s *Store) budgetKey(budget string) string { return s.hashTag(budget) + ":b:" + budget }

// hashTag is the hash tag of everything that begins with the same part. The hash (FNV-1a) must never change.
func (s *Store) hashTag(id string) string {
	if len(s.tags) == 1 {
		return s.tags[0]
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(groupOf(id)))
	return s.tags[h.Sum32()%uint32(len(s.tags))]
}

// groupOf is the part of an id before its dot.
func groupOf(id string) string {
	part, _, _ := strings.Cut(id, ".")
	return part
}
