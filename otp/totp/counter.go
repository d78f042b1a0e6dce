package totp

const (
	acceptedCounters = 3  // that pass at once
	searchedCounters = 10 // that pass by two consecutive codes (RFC 4226 §7.4)
)

// acceptCounter spends the code if it is one of the next counters', or the one that directly follows a code of a
// farther counter which was refused just before. Otherwise it remembers whether the code is such a one.
func (k *key) acceptCounter(code string) bool {
	before := k.LastRefused
	k.LastRefused = nil
	at, ok := k.findCode(code, k.NextCounter, k.NextCounter+searchedCounters)
	if !ok {
		return false
	}
	ahead := at - k.NextCounter
	if ahead < acceptedCounters || before != nil && at == before.Counter+1 {
		k.NextCounter = at + 1
		return true
	}
	if ahead < searchedCounters {
		k.LastRefused = &refusedCode{Counter: at}
	}
	return false
}
