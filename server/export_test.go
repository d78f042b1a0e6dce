package server

// CrowdOut takes all the places of those who wait; the function that comes back frees them again.
func (s *Server) CrowdOut(app string) (leave func()) {
	waiting := s.tenant(app).waiting
	for range cap(waiting) {
		waiting <- struct{}{}
	}
	return func() {
		for range cap(waiting) {
			<-waiting
		}
	}
}

// Waiting counts those who wait.
func (s *Server) Waiting(app string) int { return len(s.tenant(app).waiting) }

// Crowded reports whether nobody else may wait.
func (s *Server) Crowded(app string) bool { return s.Waiting(app) == maxWaiting }

func (s *Server) tenant(name string) *app {
	for _, a := range s.apps {
		if a.engine.App() == name {
			return a
		}
	}
	return nil
}
