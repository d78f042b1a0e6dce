package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/internal/redistest"
)

// The capacities of Clusters that docs/sizing.md lists follow from the hash slots of the store's partitions.
func TestListedCapacitiesFollowFromThePartitions(t *testing.T) {
	const partitions, hashSlots = 64, 16384
	var slots []int64
	node := redistest.Start(t, "--cluster-enabled", "yes")
	for p := range partitions {
		slot, err := node.Do(t.Context(), "cluster", "keyslot", fmt.Sprintf("{watchword:%d}", p))
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slot.(int64))
	}
	doc := readDoc(t, "../../docs/sizing.md")
	for _, masters := range []int{3, 4, 6, 8, 12, 16} {
		counts := make([]int, masters)
		for _, slot := range slots {
			counts[int(slot)*masters/hashSlots]++
		}
		fullest := slices.Max(counts)
		row := fmt.Sprintf("| %d | %d | %.1f |", masters, fullest, float64(partitions)/float64(fullest))
		if !strings.Contains(doc, row) {
			t.Errorf("docs/sizing.md does not have the row %s; partitions by master: %v", row, counts)
		}
	}
}
