package server

// CrowdStreams takes all the places of browsers that listen; the function that comes back frees them again.
func (s *Server) CrowdStreams(app string) (leave func()) {
	streams := s.tenant(app).pages.streams
	for range cap(streams) {
		streams <- struct{}{}
	}
	return func() {
		for range cap(streams) {
			<-streams
		}
	}
}

// Streams counts the browsers that listen.
func (s *Server) Streams(app string) int { return len(s.tenant(app).pages.streams) }

// RefusalTime is the least that saying "unknown" takes.
const RefusalTime = refusalTime
