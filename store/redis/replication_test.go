package redis

import (
	"slices"
	"testing"
)

const replicationOfMaster = "role:master\r\nmaster_replid:abc\r\nmaster_repl_offset:100\r\n"

func TestParseReplicationCountsReplicasOnline(t *testing.T) {
	for info, want := range map[string][]int64{
		replicationOfMaster: nil,
		replicationOfMaster + "slave0:ip=10.0.0.1,port=6379,state=online,offset=98,lag=0\r\n":                                             {98},
		replicationOfMaster + "slave0:ip=::1,port=1,state=online,offset=98,lag=1\r\nslave1:ip=::1,port=2,state=online,offset=100,lag=10":  {98, 100},
		replicationOfMaster + "slave0:ip=::1,port=1,state=wait_bgsave,offset=0,lag=0\r\nslave1:ip=::1,port=2,state=online,offset=7,lag=0": {7},
		replicationOfMaster + "slave0:ip=::1,port=1,state=send_bulk,offset=0,lag=0":                                                       nil,
		replicationOfMaster + "slave0:ip=::1,port=1,state=online,offset=98,lag=11":                                                        nil, // no acknowledgment
		replicationOfMaster + "slave0:ip=::1,port=1,state=online,offset=x,lag=0":                                                          nil,
		replicationOfMaster + "slave0:ip=::1,port=1,state=online,offset=1":                                                                nil,
		"role:slave\r\nslave0:ip=::1,port=1,state=online,offset=98,lag=0":                                                                 nil,
		"": nil,
	} {
		if got := parseReplication(parseInfo(info)).acknowledgedOffsets; !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", info, got, want)
		}
	}
}

// While a master is under-replicated, replicas count only if they have acknowledged the position of the first update since
// then.
func TestReplicationEndsShortageWhenReplicasHaveCaughtUp(t *testing.T) {
	var r replication
	info := func(history string, offset int64, acknowledged ...int64) replicationInfo {
		return replicationInfo{position{history, offset}, acknowledged}
	}
	for i, step := range []struct {
		noted bool // after a WAIT with too few replicas
		info  replicationInfo
		have  int
		short bool
	}{
		{false, info("a", 100, 50), 1, false}, // not under-replicated: the offset does not matter
		{true, info("a", 100, 90), 0, true},
		{false, info("a", 120, 99), 0, true},
		{false, info("a", 140, 100), 1, false}, // behind the present position, but past the recorded one
		{false, info("a", 140), 0, true},
		{false, info("a", 150, 139), 0, true},
		{false, info("b", 60, 59), 0, true}, // after a failover: another replication id
		{true, info("b", 70, 60), 0, true},  // again, and later
		{false, info("b", 80, 70), 1, false},
	} {
		if step.noted {
			r.markUnderReplicated("m")
		}
		if have := r.update("m", step.info, 1); have != step.have || r.isUnderReplicated("m") != step.short {
			t.Errorf("step %d: %d replicas, short %t; want %d, %t", i, have, r.isUnderReplicated("m"), step.have, step.short)
		}
	}
	if r.isUnderReplicated("another") {
		t.Error("one master is taken for another")
	}
}
