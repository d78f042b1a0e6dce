package storetest

import (
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// faults lists faults of a store, and the requirement that must find each.
var faults = []struct{ fault, requirement string }{
	{"create loses digests", "Create/keeps the entry whole"},
	{"create keeps the given state", "Create/starts pending and unused"},
	{"create replaces", "Create/refuses a second of one id"},
	{"create aliases", "Create/copies what it is given"},
	{"create races", "Race/one Create of an id wins"},
	{"get aliases", "Get/copies what it gives"},
	{"finds every id", "Get/knows nothing of other ids"},
	{"get forgets closed", "Get/reads closed and expired entries"},
	{"keeps entries for ever", "KeepUntil/ends an entry"},
	{"reopens", "Attempt/a right guess wins once"},
	{"wrong guesses are free", "Attempt/a wrong guess costs a try"},
	{"forgets the mark", "Attempt/a right guess wins once"},
	{"guesses approve", "Attempt/a guess may lock"},
	{"reversed guesses", "Attempt/guesses are tried in order"},
	{"never locks", "Attempt/the last wrong guess locks"},
	{"compares without digests", "Attempt/entries without digests match nothing"},
	{"endless tries", "Attempt/entries without digests match nothing"},
	{"compares prefixes", "Attempt/an empty digest matches nothing"},
	{"never expires", "Attempt/expired entries are refused"},
	{"checks the budget first", "Attempt/refusals have an order"},
	{"forgets last try", "Attempt/the last try is remembered"},
	{"attempt races", "Race/one of 200 right guesses wins"},
	{"attempt races", "Race/of 500 wrong guesses as many are evaluated as there are tries"},
	{"attempt races", "Race/of 500 attempts without digests as many are charged as there are tries"},
	{"attempt races", "Race/a budget is charged no further than its limit"},
	{"attempt races", "Race/one of the right among the wrong wins"},
	{"attempt races", "Race/Attempt and Close have one winner"},
	{"attempt races", "Race/Attempt and Close are linearizable"},
	{"closes twice", "Close/once"},
	{"close always replaces the sealed data", "Close/keeps or replaces the sealed data"},
	{"close ignores the version", "Close/replaces the sealed data of the named version only"},
	{"approves expired", "Close/an expired entry is not approved"},
	{"clears nothing", "Close/empties the budget it names"},
	{"clears always", "Close/empties the budget it names"},
	{"close races", "Race/one Close wins"},
	{"close races", "Race/Attempt and Close are linearizable"},
	{"update overwrites", "Update/compare and set"},
	{"update pending only", "Update/works on closed and expired entries"},
	{"update ignores the state", "Update/works on closed and expired entries"},
	{"update refills", "Update/touches nothing else"},
	{"update extends", "Update/touches nothing else"},
	{"update keeps digests", "Update/new digests are what counts"},
	{"update races", "Race/one Update of a version wins"},
	{"endless repeats", "InFlight/repeats are charged apart from tries, and run out"},
	{"repeats are tries", "InFlight/repeats are charged apart from tries, and run out"},
	{"repeats charge the budget", "InFlight/repeats are charged apart from tries, and run out"},
	{"repeats do not set the last try", "InFlight/repeats are charged apart from tries, and run out"},
	{"reopens", "InFlight/repeats are refused as tries are"},
	{"settles nothing", "InFlight/an entry is locked when its last try is settled"},
	{"locks at once", "InFlight/an entry is locked when its last try is settled"},
	{"locks with tries left", "InFlight/an entry is locked when its last try is settled"},
	{"idle tries stay in flight", "InFlight/an unsettled try delays a lock only until it is idle"},
	{"approves too late", "InFlight/a late approval is refused"},
	{"attempt races", "Race/repeats are charged no further than their number"},
	{"charges nothing", "Budget/is shared by the entries of a group"},
	{"a refusal costs a try", "Budget/a refusal costs nothing"},
	{"right guesses pass", "Budget/refuses right guesses too"},
	{"charges refused", "Budget/slides with several limits and returns the time to wait"},
	{"windows are fixed", "Budget/slides with several limits and returns the time to wait"},
	{"waits from the newest charge", "Budget/slides with several limits and returns the time to wait"},
	{"windows are too short", "Budget/slides with several limits and returns the time to wait"},
	{"rounds down", "Budget/slides with several limits and returns the time to wait"},
	{"off by one", "Budget/slides with several limits and returns the time to wait"},
	{"returns the shortest wait", "Budget/slides with several limits and returns the time to wait"},
	{"first limit only", "Budget/each limit holds"},
	{"last limit only", "Budget/each limit holds"},
	{"forgets budgets early", "Budget/is kept as long as its longest limit"},
	{"stops at empty guesses", "Attempt/an empty digest matches nothing"},
	{"no free try", "Budget/the first try of an entry passes"},
	{"every try free", "Budget/the first try of an entry passes"},
	{"free tries are not charged", "Budget/the first try of an entry passes"},
	{"approval empties nothing", "Budget/is emptied by an approval"},
	{"locking empties", "Budget/is not emptied by a lock"},
	{"trusted devices share", "Budget/trusted devices have their own"},
	{"trusted devices share", "Budget/is emptied by an approval"},
	{"charges unknown entries", "Budget/is charged only for a try"},
	{"charges refused", "Budget/is charged only for a try"},
	{"an empty key counts", "Budget/no budget is unlimited"},
}

func TestModelStorePasses(t *testing.T) {
	RunBackend(t, func(testing.TB) Backend { return newModelBackend("") })
}

func TestModelStorePassesInRealTime(t *testing.T) {
	Run(t, func(testing.TB) watchword.Store { return newModelStore("", time.Now) })
}

// Every requirement has a fault that it finds.
func TestEveryFaultIsFound(t *testing.T) {
	byName, covered := map[string]requirement{}, map[string]bool{}
	for _, p := range allRequirements() {
		byName[p.name] = p
	}
	for _, b := range faults {
		covered[b.requirement] = true
		t.Run(b.fault, func(t *testing.T) {
			t.Parallel()
			for range 5 { // on a busy machine concurrent calls may not overlap
				if findsFault(t, byName[b.requirement], newModelBackend(b.fault)) {
					return
				}
			}
			t.Errorf("%q does not find it", b.requirement)
		})
	}
	for name := range byName {
		if !covered[name] {
			t.Errorf("no fault violates %q", name)
		}
	}
}

// Two stores with separate storage are not two nodes.
func TestSeparateBackendsAreFound(t *testing.T) {
	for _, name := range []string{"Attempt/a right guess wins once", "Race/one of 200 right guesses wins"} {
		for _, p := range allRequirements() {
			apart := Backend{Nodes: []watchword.Store{newModelStore("", time.Now), newModelStore("", time.Now)}}
			if p.name == name && !findsFault(t, p, apart) {
				t.Errorf("%q does not find it", name)
			}
		}
	}
}

func newModelBackend(fault string) Backend {
	clock := NewClock()
	return Backend{Nodes: []watchword.Store{newModelStore(fault, clock.Now)}, Clock: clock}
}

// findsFault reports whether a requirement fails on a backend.
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

// A failureRecorder records that a test failed.
type failureRecorder struct {
	testing.TB
	mu     sync.Mutex
	failed bool
}

func (r *failureRecorder) Errorf(format string, _ ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !strings.Contains(format, "proves nothing") {
		r.failed = true
	}
}

func (r *failureRecorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}
