package redis

import (
	"encoding/binary"
	"errors"
	"math"
	"time"

	"github.com/watchword-auth/watchword"
)

// An entry is one string: a header of fixed size, the mark, the digests (each after its length in two bytes) and the sealed
// data. entry.lua documents the header. Times are microseconds since 1970.
const (
	entryFormat = 1
	headSize    = 51
	maxMark     = math.MaxUint16
	maxDigest   = math.MaxUint16
	maxContent  = 128 << 10 // digests and sealed data
	maxValue    = 256 << 10 // an entry with its mark is smaller; what is longer was not written by this package
)

var (
	errDamaged         = errors.New("redis: what is stored is not an entry")
	errUnexpectedReply = errors.New("redis: unexpected reply")
	errFieldTooLong    = errors.New("redis: a digest or mark is longer than 65,535 bytes, or digests and sealed data than 128 KiB")
)

// encodeEntry encodes a new entry. State, counters and version are those of a new entry, whatever e has.
func encodeEntry(e watchword.Entry) ([]byte, error) {
	digests, err := encodeDigests(e)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 0, headSize+len(digests)+len(e.Sealed))
	b = append(b, entryFormat, byte(watchword.StatePending))
	b = binary.BigEndian.AppendUint32(b, uint32(min(max(e.Tries, 0), math.MaxInt32)))
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint64(b, 0)
	b = append(b, 0, 0, 0) // settled and repeats
	b = binary.BigEndian.AppendUint64(b, 1)
	b = binary.BigEndian.AppendUint64(b, toMicros(e.ExpiresAt))
	b = binary.BigEndian.AppendUint64(b, toMicros(e.KeepUntil))
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(digests)))
	b = append(b, digests...)
	return append(b, e.Sealed...), nil
}

// encodeDigests encodes the digests of an entry, whose content must not be too long.
func encodeDigests(e watchword.Entry) ([]byte, error) {
	size := 0
	for _, d := range e.Digests {
		size += 2 + len(d)
	}
	if size+len(e.Sealed) > maxContent {
		return nil, errFieldTooLong
	}
	b := make([]byte, 0, size)
	for _, d := range e.Digests {
		if len(d) > maxDigest {
			return nil, errFieldTooLong
		}
		b = binary.BigEndian.AppendUint16(b, uint16(len(d)))
		b = append(b, d...)
	}
	return b, nil
}

// decodeEntry decodes an entry that encodeEntry or a script has written. The value may be damaged.
func decodeEntry(id, value string) (watchword.Entry, error) {
	if len(value) < headSize || len(value) > maxValue || value[0] != entryFormat {
		return watchword.Entry{}, errDamaged
	}
	b := []byte(value)
	e := decodeCounters(id, b[1:])
	last, version := binary.BigEndian.Uint64(b[10:]), binary.BigEndian.Uint64(b[21:])
	e.Settled = int(binary.BigEndian.Uint16(b[18:]))
	e.Version = int64(version)
	if last != 0 {
		e.LastTry = fromMicros(last)
	}
	e.ExpiresAt, e.KeepUntil = fromMicros(binary.BigEndian.Uint64(b[29:])), fromMicros(binary.BigEndian.Uint64(b[37:]))
	marked, digested := int(binary.BigEndian.Uint16(b[45:])), int(binary.BigEndian.Uint32(b[47:]))
	rest := b[headSize:]
	if marked+digested > len(rest) {
		return watchword.Entry{}, errDamaged
	}
	e.Mark = rest[:marked:marked]
	e.Sealed = rest[marked+digested:]
	var err error
	e.Digests, err = decodeDigests(rest[marked : marked+digested])
	return e, err
}

func decodeDigests(b []byte) (digests [][]byte, err error) {
	for len(b) > 0 {
		if len(b) < 2 {
			return nil, errDamaged
		}
		end := 2 + int(binary.BigEndian.Uint16(b))
		if end > len(b) {
			return nil, errDamaged
		}
		digests = append(digests, b[2:end:end])
		b = b[end:]
	}
	return digests, nil
}

// countersSize is the size of state, tries left, used and settled in the reply of a refusal. decodeCounters decodes the first
// three, with which an entry begins too.
const countersSize = 11

func decodeCounters(id string, b []byte) watchword.Entry {
	return watchword.Entry{ID: id, State: watchword.State(b[0]),
		Tries: int(binary.BigEndian.Uint32(b[1:])), Used: int(binary.BigEndian.Uint32(b[5:]))}
}

// toMicros returns a time as it is stored. Times before 1970 are stored as 0.
func toMicros(t time.Time) uint64 { return uint64(max(t.UnixMicro(), 0)) }

func fromMicros(n uint64) time.Time { return time.UnixMicro(int64(min(n, math.MaxInt64))).UTC() }
