package server

// FillWaiters simulates the maximum number of waiting callers until release is called.
func (s *Server) FillWaiters(app string) (release func()) {
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

// WaiterCount returns the number of waiting callers.
func (s *Server) WaiterCount(app string) int { return len(s.findApp(app).waiters) }

// WaitersFull reports whether no further caller may wait.
func (s *Server) WaitersFull(app string) bool { return s.WaiterCount(app) == maxWaiters }

func (s *Server) findApp(name string) *app {
	for _, a := range s.apps {
		if a.engine.App() == name {
			return a
		}
	}
	return nil
}
