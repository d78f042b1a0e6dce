package server

// FillWaiters takes all the places of those who wait; the function that comes back frees them again.
func (s *Server) FillWaiters(app string) (leave func()) {
	waiting := s.findApp(app).waiters
	for range cap(waiting) {
		waiting <- struct{}{}
	}
	return func() {
		for range cap(waiting) {
			<-waiting
		}
	}
}

// WaiterCount counts those who wait.
func (s *Server) WaiterCount(app string) int { return len(s.findApp(app).waiters) }

// WaitersFull reports whether nobody else may wait.
func (s *Server) WaitersFull(app string) bool { return s.WaiterCount(app) == maxWaiters }

func (s *Server) findApp(name string) *app {
	for _, a := range s.apps {
		if a.engine.App() == name {
			return a
		}
	}
	return nil
}
