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

// Of any number of identical right answers exactly one is approved, and the others get challenge_approved. These tests send them to
// two processes on one Redis and one database, one of which has a slow connection to Redis.

// twoServers are servers on one storage. factors opens their database.
type twoServers struct {
	nodes   [2]*node // the first has a slow connection to Redis
	factors *watchword.Engine
}

// lag is the additional time of a command from the slow server to Redis.
const lag = 25 * time.Millisecond

func newTwoServers(t *testing.T, s testStorage) *twoServers {
	t.Helper()
	slow := s.proxy()
	p := &twoServers{nodes: [2]*node{s.server(t, slow), s.server(t, s.proxy())}}
	p.factors = s.factors(t)
	slow.SetLag(lag, 0)
	return p
}

// A rightAnswerCase is a number of copies of a right answer, after a number of wrong answers.
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
	t.Parallel()
	eachStorage(t, func(t *testing.T, s testStorage) {
		p := newTwoServers(t, s)
		for _, c := range rightAnswerCases(strategiesUnderTest(t, p.nodes[1])) {
			t.Run(fmt.Sprintf("%s/%d after %d wrong", c.strategy, c.copies, c.wrong), func(t *testing.T) {
				p.runRounds(t, c, rounds(8, 60))
			})
		}
	})
}

// maxConcurrentRounds is how many rounds run at the same time; a round mostly waits for Redis.
const maxConcurrentRounds = 8

// runRounds runs the rounds of a case, and reports unexpected outcomes.
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

// runRound runs a round with a new subject and returns what is unexpected. It is repeated if a busy machine's Redis did not answer in
// time, because 503 promises nothing.
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
		if answers["503 unavailable"] == 0 && !strings.Contains(got, "503 unavailable") {
			break
		}
	}
	return got
}

// prepare enrols a new subject, starts a challenge and sends the wrong answers. It begins again if a busy machine did not answer in time.
func (p *twoServers) prepare(c rightAnswerCase) (who *person, id string, right any, err error) {
	for range 5 {
		who, id, right, err = p.tryToPrepare(c)
		if err == nil || !strings.Contains(err.Error(), `"code":"unavailable"`) {
			break
		}
	}
	return who, id, right, err
}

func (p *twoServers) tryToPrepare(c rightAnswerCase) (who *person, id string, right any, err error) {
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

// intervals are the times between copies: none, those of a double click, and one after which the slow server has counted the try and
// not yet approved the challenge.
func intervals() []time.Duration {
	return []time.Duration{0, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, lag + lag/5}
}

// sendCopies sends the copies to both servers in turn, and returns the outcomes and what is unexpected.
func (p *twoServers) sendCopies(c rightAnswerCase, n int, who *person, id string, right any) (answers map[string]int, wrong string) {
	apart := intervals()[n/2%len(intervals())] / time.Duration(1+c.copies/10) // many copies do not take much longer than few
	answers = runConcurrently(c.copies, func(i int) string {
		time.Sleep(time.Duration(i) * apart)
		r, err := p.nodes[(i+n)%2].answer(id, "mfa", who.subject, right)
		if err != nil {
			return err.Error()
		}
		if claims, _ := r.body["claims"].(object); r.status == http.StatusOK && claims["jti"] != id {
			return fmt.Sprint("receipt with jti ", claims["jti"])
		}
		return r.outcome()
	})
	if want := map[string]int{"200": 1, "409 challenge_approved": c.copies - 1}; !maps.Equal(answers, want) {
		return answers, fmt.Sprint(answers)
	}
	return answers, ""
}

// checkAfterwards checks that there is no failure, and that the answer is used up and nothing else.
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
		wrong = append(wrong, "status "+r.str("status"))
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

// factor returns the only factor of a subject.
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
