package watchword

import (
	"encoding/binary"
	"maps"
	"slices"
)

// canonicalMap writes a map in one way only: sorted names, each text preceded by its length.
func canonicalMap(m map[string]string) string {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for _, text := range []string{name, m[name]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
			out = append(out, text...)
		}
	}
	return string(out)
}
