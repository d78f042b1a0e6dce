package server

// FillStreams simulates the maximum number of event streams until release is called.
func (s *Server) FillStreams(app string) (release func()) {
	streams := s.findApp(app).pages.streams
	for range cap(streams) {
		streams <- struct{}{}
	}
	return func() {
		for range cap(streams) {
			<-streams
		}
	}
}

// StreamCount returns the number of event streams.
func (s *Server) StreamCount(app string) int { return len(s.findApp(app).pages.streams) }

// MinRefusalTime is the minimum time of a response for an unknown challenge.
const MinRefusalTime = minRefusalTime
