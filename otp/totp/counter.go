package totp

const (
	nearCounters = 3  // that pass at once
	allCounters  = 10 // that pass by two consecutive codes (RFC 4226 §7.4)
)

// acceptCounter spends the code if it is one of the next counters', or the one that directly follows a code of a
// farther counter which was refused just before. Otherwise it remembers whether the code is such a one.
func (k *key) acceptCounter(code string) bool {
	before := k.Far
	k.Far = nil
	at, ok := k.find(code, k.Next, k.Next+allCounters)
	if !ok {
		return false
	}
	ahead := at - k.Next
	if ahead < nearCounters || before != nil && at == before.At+1 {
		k.Next = at + 1
		return true
	}
	if ahead < allCounters {
		k.Far = &far{At: at}
	}
	return false
}
