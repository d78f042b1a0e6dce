package storetest

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// faults lists the ways in which a store may be wrong, and the promise that must notice.
var faults = []struct{ fault, promise string }{
	{"create loses digests", "Create/keeps the entry whole"},
	{"create believes", "Create/starts pending and unused"},
	{"create replaces", "Create/refuses a second of one id"},
	{"create aliases", "Create/copies what it is given"},
	{"create races", "Race/one Create of an id wins"},
	{"get aliases", "Get/copies what it gives"},
	{"knows everything", "Get/knows nothing of other ids"},
	{"get forgets closed", "Get/reads closed and expired entries"},
	{"keeps for ever", "KeepUntil/ends an entry"},
	{"reopens", "Attempt/a right guess wins once"},
	{"wrong guesses are free", "Attempt/a wrong guess costs a try"},
	{"forgets the mark", "Attempt/a right guess wins once"},
	{"guesses approve", "Attempt/a guess may lock"},
	{"reversed guesses", "Attempt/guesses are tried in order"},
	{"never locks", "Attempt/the last wrong guess locks"},
	{"judges alone", "Attempt/entries without digests match nothing"},
	{"endless tries", "Attempt/entries without digests match nothing"},
	{"compares prefixes", "Attempt/an empty digest matches nothing"},
	{"never expires", "Attempt/expired entries are refused"},
	{"budget first", "Attempt/refusals have an order"},
	{"forgets last try", "Attempt/the last try is remembered"},
	{"attempt races", "Race/one of 200 right guesses wins"},
	{"attempt races", "Race/of 500 wrong guesses as many are judged as there are tries"},
	{"attempt races", "Race/of 500 judged answers as many are charged as there are tries"},
	{"attempt races", "Race/a budget is charged no further than its limit"},
	{"attempt races", "Race/one of the right among the wrong wins"},
	{"attempt races", "Race/Attempt and Close have one winner"},
	{"attempt races", "Race/Attempt and Close are linearizable"},
	{"closes twice", "Close/once"},
	{"close unseals", "Close/keeps or replaces the sealed data"},
	{"approves expired", "Close/an expired entry is not approved"},
	{"clears nothing", "Close/empties the budget it names"},
	{"clears always", "Close/empties the budget it names"},
	{"close races", "Race/one Close wins"},
	{"close races", "Race/Attempt and Close are linearizable"},
	{"update overwrites", "Update/compare and set"},
	{"update pending only", "Update/works on closed and expired entries"},
	{"update of a closed one", "Update/works on closed and expired entries"},
	{"update refills", "Update/touches nothing else"},
	{"update extends", "Update/touches nothing else"},
	{"update keeps digests", "Update/new digests are what counts"},
	{"update races", "Race/one Update of a version wins"},
	{"endless repeats", "Flight/repeats are charged apart from tries, and run out"},
	{"repeats are tries", "Flight/repeats are charged apart from tries, and run out"},
	{"repeats charge the budget", "Flight/repeats are charged apart from tries, and run out"},
	{"repeats are not fresh", "Flight/repeats are charged apart from tries, and run out"},
	{"reopens", "Flight/repeats are refused as tries are"},
	{"settles nothing", "Flight/an entry is locked when its last try is settled"},
	{"locks at once", "Flight/an entry is locked when its last try is settled"},
	{"locks with tries left", "Flight/an entry is locked when its last try is settled"},
	{"waits for ever", "Flight/a try that is never settled holds a lock up only so long"},
	{"approves too late", "Flight/an approval that comes after its time is refused"},
	{"attempt races", "Race/repeats are charged no further than their number"},
	{"charges nothing", "Budget/is shared by the entries of a group"},
	{"a refusal costs a try", "Budget/a refusal costs nothing"},
	{"right guesses pass", "Budget/refuses right guesses too"},
	{"charges refused", "Budget/slides, several limits together, and says when to come back"},
	{"windows are fixed", "Budget/slides, several limits together, and says when to come back"},
	{"waits from the newest charge", "Budget/slides, several limits together, and says when to come back"},
	{"windows are too short", "Budget/slides, several limits together, and says when to come back"},
	{"rounds down", "Budget/slides, several limits together, and says when to come back"},
	{"off by one", "Budget/slides, several limits together, and says when to come back"},
	{"the shortest wait", "Budget/slides, several limits together, and says when to come back"},
	{"first limit only", "Budget/each limit holds"},
	{"last limit only", "Budget/each limit holds"},
	{"forgets budgets early", "Budget/lives as long as its longest limit"},
	{"stops at empty guesses", "Attempt/an empty digest matches nothing"},
	{"no free try", "Budget/the first try of an entry passes"},
	{"every try free", "Budget/the first try of an entry passes"},
	{"free tries are not charged", "Budget/the first try of an entry passes"},
	{"approval empties nothing", "Budget/is emptied by an approval"},
	{"locking empties", "Budget/is not emptied by a lock"},
	{"known devices share", "Budget/known devices have their own"},
	{"known devices share", "Budget/is emptied by an approval"},
	{"charges unknown", "Budget/is charged only for a try"},
	{"charges refused", "Budget/is charged only for a try"},
	{"an empty key counts", "Budget/none is unlimited"},
}

// The small store holds every promise.
func TestModelStorePasses(t *testing.T) {
	RunBackend(t, func(testing.TB) Backend { return newModelBackend("") })
}

// On a real clock too, where the tests wait for time to pass.
func TestModelStorePassesInRealTime(t *testing.T) {
	Run(t, func(testing.TB) watchword.Store { return newModelStore("", time.Now) })
}

// Each fault is noticed by the promise that it breaks: the suite can fail.
func TestEveryFaultIsFound(t *testing.T) {
	byName, broke := map[string]requirement{}, map[string]bool{}
	for _, p := range allRequirements() {
		byName[p.name] = p
	}
	for _, b := range faults {
		broke[b.promise] = true
		t.Run(b.fault, func(t *testing.T) {
			t.Parallel()
			for range 5 { // on a busy machine what races may not meet at once
				if findsFault(t, byName[b.promise], newModelBackend(b.fault)) {
					return
				}
			}
			t.Errorf("%q does not notice", b.promise)
		})
	}
	for name := range byName {
		if !broke[name] {
			t.Errorf("no fault breaks %q", name)
		}
	}
}

// Two stores that share nothing are not two nodes.
func TestSeparateBackendsAreFound(t *testing.T) {
	for _, name := range []string{"Attempt/a right guess wins once", "Race/one of 200 right guesses wins"} {
		for _, p := range allRequirements() {
			apart := Backend{Nodes: []watchword.Store{newModelStore("", time.Now), newModelStore("", time.Now)}}
			if p.name == name && !findsFault(t, p, apart) {
				t.Errorf("%q does not notice", name)
			}
		}
	}
}

func newModelBackend(fault string) Backend {
	clock := NewClock()
	return Backend{Nodes: []watchword.Store{newModelStore(fault, clock.Now)}, Clock: clock}
}

// findsFault reports whether a backend breaks a promise.
func findsFault(t *testing.T, p requirement, b Backend) bool {
	record := &failureRecorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.check(newHarness(record, b))
	}()
	<-done
	return record.failed
}

// A failureRecorder notes that a test failed and goes on.
type failureRecorder struct {
	testing.TB
	mu     sync.Mutex
	failed bool
}

func (r *failureRecorder) Errorf(format string, _ ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.Contains(format, "shows nothing") {
		r.failed = true
	}
}

func (r *failureRecorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
