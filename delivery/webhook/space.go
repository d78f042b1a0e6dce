package webhook

import "sync/atomic"

// A Space bounds the size of the events that wait at all endpoints of a process. While there is space an endpoint may use more than
// its equal part; when there is none, only endpoints with less than that get more, and each of the others gives way with its next
// event. It is safe for concurrent use.
type Space struct {
	bytes     int64
	endpoints atomic.Int64
	used      atomic.Int64 // bytes
}

// NewSpace returns a Space of so many bytes, for the Dispatchers of all apps.
func NewSpace(bytes int) *Space { return &Space{bytes: int64(bytes)} }

// canAdd reports whether an endpoint whose events have size bytes may add an event of more bytes. To a nil Space it always may.
func (s *Space) canAdd(size, more int) bool {
	if s == nil || s.used.Load()+int64(more) <= s.bytes {
		return true
	}
	return int64(size+more) <= s.bytes/s.endpoints.Load()
}
