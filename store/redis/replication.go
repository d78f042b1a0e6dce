package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/script"
)

// maxLag is for how many seconds a replica may have acknowledged nothing and still count: the default of Redis'
// min-replicas-max-lag. Replicas acknowledge once a second.
const maxLag = 10

// A replication remembers which masters have too few replicas, so that nothing is written there that would only be
// reported as ErrNotReplicated, and a right answer used up for nothing. It is safe for concurrent use.
type replication struct {
	mu              sync.Mutex
	underReplicated map[string]position // by the master's name: what enough replicas must have acknowledged to end that
}

// A position is one in a master's stream of writes. The zero position is one that is not known yet.
type position struct {
	replicationID string // master_replid, which changes with a failover
	offset        int64
}

func (r *replication) isUnderReplicated(master string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, short := r.underReplicated[master]
	return short
}

// markUnderReplicated remembers that a write of just now has not reached enough replicas.
func (r *replication) markUnderReplicated(master string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.set(master, position{})
}

func (r *replication) set(master string, p position) {
	if r.underReplicated == nil {
		r.underReplicated = map[string]position{}
	}
	r.underReplicated[master] = p
}

// update takes what a master says now, and reports how many replicas it can count on. A replica that hangs stays online for
// a minute; so where there were too few, only those count that have acknowledged everything up to the first look after that.
func (r *replication) update(master string, now replicationInfo, want int) (have int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	after, short := r.underReplicated[master]
	if !short && len(now.acknowledgedOffsets) >= want {
		return len(now.acknowledgedOffsets)
	}
	if after.replicationID != now.position.replicationID {
		after = now.position
	}
	for _, offset := range now.acknowledgedOffsets {
		if offset >= after.offset {
			have++
		}
	}
	if have >= want {
		delete(r.underReplicated, master)
	} else {
		r.set(master, after)
	}
	return have
}

// checkReplicas asks a master whether enough replicas are online.
func (s *Store) checkReplicas(ctx context.Context, c script.Client, master string) error {
	info, err := textReply(script.Do(ctx, c, "info", "replication"))
	if err != nil {
		return err
	}
	return s.checkReplicaCount(master, parseInfo(info))
}

// checkReplicaCount reads the same from the fields of INFO.
func (s *Store) checkReplicaCount(master string, fields map[string]string) error {
	if have := s.replication.update(master, parseReplication(fields), s.waitReplicas); have < s.waitReplicas {
		return fmt.Errorf("%w: %d of %d at %s", ErrTooFewReplicas, have, s.waitReplicas, master)
	}
	return nil
}

// replicationInfo is what INFO says of a master's replicas.
type replicationInfo struct {
	position            position
	acknowledgedOffsets []int64 // by each replica that is online, the offset
}

// parseReplication takes what is damaged, or said by a replica, for a master without replicas.
func parseReplication(fields map[string]string) (r replicationInfo) {
	r.position.replicationID = fields["master_replid"]
	r.position.offset, _ = strconv.ParseInt(fields["master_repl_offset"], 10, 64)
	if fields["role"] != "master" {
		return r
	}
	for i := 0; ; i++ { // slave0:ip=10.0.0.1,port=6379,state=online,offset=42,lag=0
		line, there := fields["slave"+strconv.Itoa(i)]
		if !there {
			return r
		}
		parts := strings.Split(line, ",")
		lag, errLag := parseNumber(parts, "lag")
		offset, errOffset := parseNumber(parts, "offset")
		if slices.Contains(parts, "state=online") && errLag == nil && lag <= maxLag && errOffset == nil {
			r.acknowledgedOffsets = append(r.acknowledgedOffsets, offset)
		}
	}
}

func parseNumber(parts []string, name string) (int64, error) {
	for _, part := range parts {
		if value, ok := strings.CutPrefix(part, name+"="); ok {
			return strconv.ParseInt(value, 10, 64)
		}
	}
	return 0, strconv.ErrSyntax
}

// masterName names a master: its address or, behind Sentinel, whichever is the master.
func masterName(c redis.UniversalClient) string {
	if single, ok := c.(*redis.Client); ok {
		return single.Options().Addr
	}
	return ""
}
