package server

// FillStreams takes all the places of browsers that listen; the function that comes back frees them again.
func (s *Server) FillStreams(app string) (leave func()) {
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

// StreamCount counts the browsers that listen.
func (s *Server) StreamCount(app string) int { return len(s.findApp(app).pages.streams) }

// MinRefusalTime is the least that saying "unknown" takes.
const MinRefusalTime = minRefusalTime
