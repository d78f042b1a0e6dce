package storetest

import (
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// key returns the key of a budget's log.
func (s *modelStore) key(key string) string {
	if s.fault == "trusted devices share" {
		part, _, _ := strings.Cut(key, ".")
		return part
	}
	return key
}

func (s *modelStore) empty(key string) { delete(s.log, s.key(key)) }

func (s *modelStore) charge(b watchword.Budget) {
	if b.Key == "" && s.fault != "an empty key counts" || s.fault == "charges nothing" {
		return
	}
	if s.fault == "free tries are not charged" && s.wait(b) > 0 {
		return
	}
	s.log[s.key(b.Key)] = append([]time.Time{s.now()}, s.log[s.key(b.Key)]...)
}

func (s *modelStore) wait(b watchword.Budget) (longest time.Duration) {
	if b.Key == "" && s.fault != "an empty key counts" {
		return 0
	}
	log := s.log[s.key(b.Key)]
	if s.fault == "forgets budgets early" && len(log) > 0 && s.now().Sub(log[0]) >= 20*time.Millisecond {
		return 0
	}
	for i, w := range b.Limits {
		if s.fault == "first limit only" && i > 0 || s.fault == "last limit only" && i < len(b.Limits)-1 || len(log) < w.Max {
			continue
		}
		if w.Max == 0 {
			longest = max(longest, w.Per)
			continue
		}
		since := log[w.Max-1]
		switch s.fault {
		case "windows are fixed":
			since = since.Truncate(w.Per)
		case "waits from the newest charge":
			since = log[0]
		case "windows are too short":
			since = since.Add(-time.Millisecond)
		case "off by one":
			if len(log) == w.Max {
				continue
			}
			since = log[w.Max]
		}
		wait := w.Per - s.now().Sub(since)
		if s.fault == "rounds down" {
			wait = wait.Truncate(10 * time.Millisecond)
		}
		if s.fault == "returns the shortest wait" && longest > 0 && wait > 0 {
			wait = min(wait, longest)
			longest = 0
		}
		longest = max(longest, wait)
	}
	return longest
}
