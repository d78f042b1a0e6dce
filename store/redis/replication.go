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

// maxLag is how many seconds ago a replica may have sent its last acknowledgment and still count. It is the default of Redis'
// min-replicas-max-lag. Replicas send one each second.
const maxLag = 10

// A replication tracks which masters have too few replicas. The Store writes nothing to those, because the write would end in
// ErrNotReplicated and use up a right answer. It is safe for concurrent use.
type replication struct {
	mu              sync.Mutex
	underReplicated map[string]position // by the master's name; ends when enough replicas have acknowledged the position
}

// A position is a position in a master's replication stream. The zero position is unknown.
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

// markUnderReplicated records that a write has not reached enough replicas.
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

// update evaluates a master's INFO and returns how many replicas count. A hanging replica is reported as online for a minute, so
// while a master is under-replicated, only replicas count that have acknowledged the position of the first update since then.
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

// checkReplicas asks a master for its replicas and returns ErrTooFewReplicas if too few count.
func (s *Store) checkReplicas(ctx context.Context, c script.Client, master string) error {
	info, err := textReply(script.Do(ctx, c, "info", "replication"))
	if err != nil {
		return err
	}
	return s.checkReplicaCount(master, parseInfo(info))
}

// checkReplicaCount does the same with the fields of an INFO reply.
func (s *Store) checkReplicaCount(master string, fields map[string]string) error {
	if have := s.replication.update(master, parseReplication(fields), s.waitReplicas); have < s.waitReplicas {
		return fmt.Errorf("%w: %d of %d at %s", ErrTooFewReplicas, have, s.waitReplicas, master)
	}
	return nil
}

// replicationInfo is the part of an INFO reply about replication.
type replicationInfo struct {
	position            position
	acknowledgedOffsets []int64 // of the replicas that are online
}

// parseReplication parses the fields of an INFO reply. A malformed reply, or one of a replica, has no replicas.
func parseReplication(fields map[string]string) (r replicationInfo) {
	r.position.replicationID = fields["master_replid"]
	r.position.offset, _ = strconv.ParseInt(fields["master_repl_offset"], 10, 64)
	if fields["role"] != "master" {
		return r
	}
	for i := 0; ; i++ { // slave0:ip=10.0.0.1,port=6379,state=online,offset=42,lag=0
		line, found := fields["slave"+strconv.Itoa(i)]
		if !found {
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

// masterName returns the address of a master, which behind Sentinel is a constant.
func masterName(c redis.UniversalClient) string {
	if single, ok := c.(*redis.Client); ok {
		return single.Options().Addr
	}
	return ""
}
