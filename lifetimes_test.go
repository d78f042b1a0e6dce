package watchword

import (
	"encoding/binary"
	"testing"

	"github.com/watchword-auth/watchword/internal/tombstones"
)

// A day of endings of short-lived challenges drops the tombstone of none that lives longer, so that a restored entry of a link does not
// open it again.
func TestEndingsOfOtherChallengesDropNoTombstoneOfLongLivedLink(t *testing.T) {
	e := &Engine{tombstones: tombstones.New[Status](), linkTombstones: tombstones.New[Status]()}
	link, other := challengeID{random: [randomSize]byte{1}, strategyTag: [strategyTagSize]byte{longLivedBit}}, challengeID{random: [randomSize]byte{2}}
	for _, id := range []challengeID{link, other} {
		e.tombstonesOf(id).Add(id.random, tombstoneRedeemed, Approved)
	}
	for n := range uint64(3 << 16) {
		id := challengeID{}
		binary.BigEndian.PutUint64(id.random[8:], n)
		e.tombstonesOf(id).Add(id.random, tombstoneChallenge, Approved)
	}
	if _, found := e.tombstonesOf(link).Find(link.random, tombstoneRedeemed); !found {
		t.Error("the link's tombstone was dropped")
	}
	if _, found := e.tombstonesOf(other).Find(other.random, tombstoneRedeemed); found {
		t.Error("the other one is kept, so that this test shows nothing")
	}
}
