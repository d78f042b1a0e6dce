package storetest

import "github.com/watchword-auth/watchword"

func (s *modelStore) repeatRefusal(e *watchword.Entry, b watchword.Budget) error {
	if s.repeats[e.ID] >= b.Repeats && s.fault != "endless repeats" {
		return watchword.ErrSpent
	}
	return nil
}

func (s *modelStore) repeat(e *watchword.Entry, b watchword.Budget) watchword.Entry {
	s.repeats[e.ID]++
	if s.fault == "repeats are tries" {
		e.Used++
	}
	if s.fault == "repeats charge the budget" {
		s.charge(b)
	}
	if s.fault != "repeats do not set the last try" {
		e.LastTry = s.now()
	}
	return copyEntry(*e)
}

// inFlight settles a try if the closing does, and reports whether the entry stays pending.
func (s *modelStore) inFlight(e *watchword.Entry, c watchword.Closing) bool {
	if c.Settles && s.fault != "settles nothing" {
		e.Settled++
	}
	if c.Idle == 0 || s.fault == "locks at once" {
		return false
	}
	fresh := s.now().Sub(e.LastTry) < c.Idle || s.fault == "idle tries stay in flight"
	return e.Tries > 0 && s.fault != "locks with tries left" || e.Settled < e.Used && fresh
}
