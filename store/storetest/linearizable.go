package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/watchword-auth/watchword"
)

// An operation is one call in a history, the input of porcupine's model. All calls are on the same entry.
type operation struct {
	call    string // attempt, close, update or get
	word    string // attempt: the guess
	state   watchword.State
	version int64
}

// A result is the outcome of a call. Results of attempt and get have the entry's counters too.
type result struct {
	outcome string
	state   watchword.State
	tries   int
	used    int
	version int64
}

// An entryModel is the sequential model of an entry and its budget.
type entryModel struct {
	state   watchword.State
	tries   int
	used    int
	version int64
	charged int
}

const linearBudget = 4

// checkLinearizable makes concurrent calls and asks porcupine whether a sequential order of them gives the same results.
func checkLinearizable(h *harness) {
	words := []string{"wrong", "wrong", "wrong", "right", "lock"}
	for round := range 30 {
		h.group = randomText(8)
		e := h.mustCreate(tries(6), func(e *watchword.Entry) { e.Digests = append(e.Digests, digest("lock")) })
		// Few operations, so that porcupine need not search many orders.
		operations := []operation{{call: "get"}, {call: "close", state: watchword.StateCanceled}, {call: "update", version: 1},
			{call: "update", version: 2}, {call: "get"}, {call: "close", state: watchword.StateApproved}}
		for i := range 12 {
			operations = append(operations, operation{call: "attempt", word: words[(i*7+round)%len(words)]})
		}
		for i := range operations { // another order in each round
			j := (i*5 + round*3) % len(operations)
			operations[i], operations[j] = operations[j], operations[i]
		}
		history := h.runConcurrently(e, operations, 6)
		if !porcupine.CheckOperations(newModel(), history) {
			h.Fatalf("no sequential order of the calls gives their results:\n%s", describe(history))
		}
	}
}

// runConcurrently makes the calls from several clients and records when each began and ended.
func (h *harness) runConcurrently(e watchword.Entry, calls []operation, clients int) []porcupine.Operation {
	var (
		mu      sync.Mutex
		history []porcupine.Operation
		next    atomic.Int64
		done    sync.WaitGroup
		start   = make(chan struct{})
		begin   = time.Now()
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
				history = append(history, porcupine.Operation{ClientId: client, Input: calls[i], Call: int64(called), Output: got, Return: int64(returned)})
				mu.Unlock()
			}
		})
	}
	close(start)
	done.Wait()
	return history
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

// step applies one call to the model and returns the expected result.
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
