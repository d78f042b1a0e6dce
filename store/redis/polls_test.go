package redis

import (
	"slices"
	"testing"
	"time"
)

// A partition that fails again and again does not keep the store from asking another one that has failed once.
func TestPollsAskFailingPartitionsInTurn(t *testing.T) {
	p := newPolls(4)
	for partition := range 4 {
		p.begin(partition)
	}
	p.end(1, -1, false, true)
	for _, partition := range []int{3, 0, 2} {
		if p.failed(partition) {
			t.Error("all partitions fail, although one replies")
		}
	}
	p.askAt(0, time.Time{}) // a message that is queued meanwhile changes nothing
	var asked []int
	for range 6 {
		p.partitions[1].at = time.Now().Add(time.Hour)
		partition, _ := p.next(time.Now())
		asked = append(asked, partition)
		p.failed(partition)
	}
	if want := []int{3, 0, 2, 3, 0, 2}; !slices.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}
