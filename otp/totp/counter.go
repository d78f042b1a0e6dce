package totp

const (
	acceptedCounters = 3  // whose codes are accepted at once
	searchedCounters = 10 // whose codes are accepted if the next code follows directly (RFC 4226 §7.4)
)

// acceptCounter spends the code if it belongs to one of the next acceptedCounters, or directly follows the code of the previous
// answer, which was refused. Otherwise it remembers the code if it belongs to one of the next searchedCounters.
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
