package main

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// Right answers never lose to their own copies: of any number of identical right answers exactly one is approved, never
// none, and the others hear so. Here two processes on one Redis and one database are asked, one of them far from Redis.

// twoServers share everything; factors looks into their database.
type twoServers struct {
	nodes   [2]*node // the first is far from Redis
	factors *watchword.Engine
}

// lag is how much longer a command takes from the far server to Redis.
const lag = 25 * time.Millisecond

func newTwoServers(t *testing.T, s testStorage) *twoServers {
	t.Helper()
	far := s.proxy()
	p := &twoServers{nodes: [2]*node{s.server(t, far), s.server(t, s.proxy())}}
	p.factors = s.factors(t)
	far.SetLag(lag, 0)
	return p
}

// A rightAnswerCase says how many copies of a right answer come, after how many wrong answers.
type rightAnswerCase struct {
	strategyUnderTest
	wrong, copies int
}

func rightAnswerCases(all []strategyUnderTest) (out []rightAnswerCase) {
	for _, k := range all {
		for _, wrong := range slices.Compact([]int{0, min(1, k.tries-1), k.tries - 1}) {
			for _, copies := range []int{2, 3, 5, 10, 40} {
				out = append(out, rightAnswerCase{k, wrong, copies})
			}
		}
	}
	return out
}

func TestTwoServersApproveOneOfIdenticalRightAnswers(t *testing.T) {
	eachStorage(t, func(t *testing.T, s testStorage) {
		p := newTwoServers(t, s)
		for _, c := range rightAnswerCases(strategiesUnderTest(t, p.nodes[1])) {
			t.Run(fmt.Sprintf("%s/%d after %d wrong", c.strategy, c.copies, c.wrong), func(t *testing.T) {
				p.runRounds(t, c, rounds(20, 60))
			})
		}
	})
}

// maxConcurrentRounds is how many rounds go on at once: each waits for Redis most of the time.
const maxConcurrentRounds = 8

// runRounds runs the rounds of a case and says how those went that should have gone otherwise.
func (p *twoServers) runRounds(t *testing.T, c rightAnswerCase, rounds int) {
	t.Helper()
	var (
		mu     sync.Mutex
		wg     sync.WaitGroup
		places = make(chan struct{}, maxConcurrentRounds)
		other  = map[string]int{}
	)
	for n := range rounds {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if got := p.runRound(t, c, n); got != "" {
				mu.Lock()
				defer mu.Unlock()
				other[got]++
			}
		})
	}
	wg.Wait()
	for _, got := range slices.Sorted(maps.Keys(other)) {
		t.Errorf("%d of %d rounds: %s", other[got], rounds, got)
	}
}

// runRound lets somebody new answer, and says what went otherwise than it should. What a busy machine did not answer in time
// was promised nothing, so then it is tried again.
func (p *twoServers) runRound(t *testing.T, c rightAnswerCase, n int) string {
	const tries = 3
	var got string
	for range tries {
		var answers map[string]int
		who, id, right, err := p.prepare(c)
		if err != nil {
			return err.Error()
		}
		if answers, got = p.sendCopies(c, n, who, id, right); got == "" {
			got = p.checkAfterwards(t, who, id, right)
		}
		if answers["503 unavailable"] == 0 {
			break
		}
	}
	return got
}

// prepare enrols somebody, starts a challenge and gives the wrong answers.
func (p *twoServers) prepare(c rightAnswerCase) (who *person, id string, right any, err error) {
	if who, err = c.newPerson(p.nodes[1]); err != nil {
		return nil, "", nil, err
	}
	started, err := p.nodes[1].begin(who.strategy, "mfa", who.subject)
	if err != nil {
		return nil, "", nil, err
	}
	id, right = started.str("id"), who.right(started)
	for n := range c.wrong {
		r, err := p.nodes[n%2].answer(id, "mfa", who.subject, who.wrong[n])
		if err == nil && r.outcome() != "422 incorrect_answer" {
			err = fmt.Errorf("a wrong answer: %s", r.text)
		}
		if err != nil {
			return nil, "", nil, err
		}
	}
	return who, id, right, nil
}

// intervals are between one copy and the next: none, those of a double click, and one after which the far server has charged a
// try and not closed the challenge yet.
func intervals() []time.Duration {
	return []time.Duration{0, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, lag + lag/5}
}

// sendCopies sends the copies to both servers in turn and compares what they came to.
func (p *twoServers) sendCopies(c rightAnswerCase, n int, who *person, id string, right any) (answers map[string]int, wrong string) {
	apart := intervals()[n/2%len(intervals())] / time.Duration(1+c.copies/10) // many do not come much later than few
	answers = runConcurrently(c.copies, func(i int) string {
		time.Sleep(time.Duration(i) * apart)
		r, err := p.nodes[(i+n)%2].answer(id, "mfa", who.subject, right)
		if err != nil {
			return err.Error()
		}
		if claims, _ := r.body["claims"].(object); r.status == http.StatusOK && claims["jti"] != id {
			return fmt.Sprint("a receipt of ", claims["jti"])
		}
		return r.outcome()
	})
	if want := map[string]int{"200": 1, "409 challenge_approved": c.copies - 1}; !maps.Equal(answers, want) {
		return answers, fmt.Sprint(answers)
	}
	return answers, ""
}

// checkAfterwards looks at what is left: no failure, one code used, and that one used up.
func (p *twoServers) checkAfterwards(t *testing.T, who *person, id string, right any) string {
	var wrong []string
	f, err := p.factor(t.Context(), who.subject)
	switch {
	case err != nil:
		return err.Error()
	case f.Failures != 0 || f.Disabled:
		wrong = append(wrong, fmt.Sprintf("%d failures", f.Failures))
	case who.strategy == "recovery" && fmt.Sprint(f.Public["codes_remaining"]) != "9":
		wrong = append(wrong, fmt.Sprint(f.Public["codes_remaining"], " codes remaining"))
	}
	if r := p.nodes[0].call(http.MethodGet, "/v1/challenges/"+id, nil); r.str("status") != "approved" {
		wrong = append(wrong, "reads "+r.str("status"))
	}
	next, err := p.nodes[1].begin(who.strategy, "mfa", who.subject)
	if err != nil {
		return err.Error()
	}
	again, err := p.nodes[0].answer(next.str("id"), "mfa", who.subject, right)
	if err != nil {
		return err.Error()
	}
	if again.outcome() != "422 incorrect_answer" {
		wrong = append(wrong, "in another challenge: "+again.outcome())
	}
	return strings.Join(wrong, ", ")
}

// factor is the one factor of a subject.
func (p *twoServers) factor(ctx context.Context, subject string) (watchword.Factor, error) {
	all, err := p.factors.ListFactors(ctx, subject)
	if err == nil && len(all) != 1 {
		err = fmt.Errorf("%s has %d factors", subject, len(all))
	}
	if err != nil {
		return watchword.Factor{}, err
	}
	return all[0], nil
}
