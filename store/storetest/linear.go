package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/watchword-auth/watchword"
)

// An operation is one call on the one entry of a history, as porcupine's model sees it.
type operation struct {
	call    string // attempt, close, update or get
	word    string // attempt: what is guessed
	state   watchword.State
	version int64
}

// A result is what a call came to. The entry's counters come with each but those of close and update.
type result struct {
	outcome string
	state   watchword.State
	tries   int
	used    int
	version int64
}

// entryModel is the entry and its budget as a sequential program would keep them.
type entryModel struct {
	state   watchword.State
	tries   int
	used    int
	version int64
	charged int
}

const linearBudget = 4

// checkLinearizable lets goroutines call at once and asks porcupine whether some order of one call after the other explains
// what each was told.
func checkLinearizable(h *harness) {
	words := []string{"wrong", "wrong", "wrong", "right", "lock"}
	for round := range 30 {
		h.group = randomText(8)
		e := h.mustCreate(tries(6), func(e *watchword.Entry) { e.Digests = append(e.Digests, digest("lock")) })
		// Few, so that porcupine need not try many orders.
		operations := []operation{{call: "get"}, {call: "close", state: watchword.StateCanceled}, {call: "update", version: 1},
			{call: "update", version: 2}, {call: "get"}, {call: "close", state: watchword.StateApproved}}
		for i := range 12 {
			operations = append(operations, operation{call: "attempt", word: words[(i*7+round)%len(words)]})
		}
		for i := range operations { // turned, so that now this, now that comes first
			j := (i*5 + round*3) % len(operations)
			operations[i], operations[j] = operations[j], operations[i]
		}
		history := h.runConcurrently(e, operations, 6)
		if !porcupine.CheckOperations(newModel(), history) {
			h.Fatalf("no order of the calls explains what they came to:\n%s", describe(history))
		}
	}
}

// runConcurrently makes the calls from a number of clients at once and notes when each began and ended.
func (h *harness) runConcurrently(e watchword.Entry, calls []operation, clients int) []porcupine.Operation {
	var (
		mu    sync.Mutex
		noted []porcupine.Operation
		next  atomic.Int64
		done  sync.WaitGroup
		start = make(chan struct{})
		begin = time.Now()
	)
	for client := range clients {
		done.Go(func() {
			<-start
			for {
				i := int(next.Add(1)) - 1
				if i >= len(calls) {
					return
				}
				called := time.Since(begin)
				got := h.perform(e, calls[i])
				returned := time.Since(begin)
				mu.Lock()
				noted = append(noted, porcupine.Operation{ClientId: client, Input: calls[i], Call: int64(called), Output: got, Return: int64(returned)})
				mu.Unlock()
			}
		})
	}
	close(start)
	done.Wait()
	return noted
}

func (h *harness) perform(e watchword.Entry, o operation) result {
	node := h.node()
	switch o.call {
	case "attempt":
		guess := approving(o.word)
		if o.word == "lock" {
			guess = locking(o.word)
		}
		got, err := node.Attempt(h.ctx, e.ID, []watchword.Guess{guess}, h.budget(linearBudget))
		if outcomeOf(err) == "budget" {
			return result{outcome: "budget"}
		}
		return result{outcome: outcomeOf(err), state: got.State, tries: got.Tries, used: got.Used}
	case "close":
		return result{outcome: outcomeOf(node.Close(h.ctx, e.ID, watchword.Closing{State: o.state, Sealed: []byte("closed")}))}
	case "update":
		e.Version = o.version
		return result{outcome: outcomeOf(node.Update(h.ctx, e))}
	default:
		got, err := node.Get(h.ctx, e.ID)
		return result{outcome: outcomeOf(err), state: got.State, tries: got.Tries, used: got.Used, version: got.Version}
	}
}

func newModel() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return entryModel{tries: 6, version: 1} },
		Step: func(state, input, output any) (bool, any) {
			l := state.(entryModel)
			want := l.step(input.(operation))
			return want == output.(result), l
		},
	}
}

// step makes one call and says what it must come to.
func (l *entryModel) step(o operation) result {
	closed := l.state != watchword.StatePending
	switch {
	case o.call == "get":
		return result{"ok", l.state, l.tries, l.used, l.version}
	case o.call == "update" && (o.version != l.version || closed):
		return result{outcome: "conflict"}
	case o.call == "update":
		l.version++
		return result{outcome: "ok"}
	case o.call == "close" && closed:
		return result{outcome: "closed"}
	case o.call == "close":
		l.state = o.state
		l.version++
		return result{outcome: "ok"}
	case closed:
		return l.result("closed")
	case l.charged >= linearBudget:
		return result{outcome: "budget"}
	}
	return l.guess(o.word)
}

func (l *entryModel) guess(word string) result {
	l.tries--
	l.used++
	l.charged++
	switch {
	case word == "right":
		l.state, l.charged = watchword.StateApproved, 0
	case word == "lock":
		l.state = watchword.StateLocked
	case l.tries == 0:
		l.state = watchword.StateLocked
		return l.result("mismatch")
	default:
		return l.result("mismatch")
	}
	return l.result("ok")
}

func (l *entryModel) result(outcome string) result {
	return result{outcome: outcome, state: l.state, tries: l.tries, used: l.used}
}

func describe(history []porcupine.Operation) (text string) {
	for _, o := range history {
		text += fmt.Sprintf("  client %d  %8d to %8d ns  %+v -> %+v\n", o.ClientId, o.Call, o.Return, o.Input, o.Output)
	}
	return text
}
