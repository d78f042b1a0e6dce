package server_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/watchword-auth/watchword"
)

// A remarker finds every answer wrong and says something about it, like an authenticator app's strategy about its clock.
type remarker struct {
	keeper
	remark any
}

func (remarker) Name() string { return "remarker" }

func (r remarker) Verify(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{Extra: map[string]any{"clock_offset_seconds": r.remark}}, watchword.ErrMismatch
}

// What a strategy found out about a wrong answer is told to the app's backend; what is no JSON is left out.
func TestDetailsOfAWrongAnswer(t *testing.T) {
	for _, c := range []struct {
		name         string
		remark, want any
	}{{"a number", -70, -70.0}, {"no JSON", func() {}, nil}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, options{strategies: []watchword.Strategy{remarker{remark: c.remark}}})
			started := b.post("/v1/challenges", `{"strategy":"remarker","purpose":"mfa","subject":"user_42"}`).want(t, http.StatusCreated, "")
			r := b.post("/v1/challenges/"+started.str("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"287082"}`)
			r.want(t, http.StatusUnprocessableEntity, "incorrect_answer")
			details, _ := r.at("details").(map[string]any)
			if details["clock_offset_seconds"] != c.want || r.at("attempts_remaining") == nil {
				t.Errorf("answer: %s", r.text)
			}
		})
	}
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	started := b.post("/v1/challenges", `{"strategy":"keeper","purpose":"mfa","subject":"user_42"}`)
	r := b.post("/v1/challenges/"+started.str("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"wrong"}`)
	if r.want(t, http.StatusUnprocessableEntity, "incorrect_answer").at("details") != nil {
		t.Errorf("details of nothing: %s", r.text)
	}
}

// A start may name the one factor that answers, which may be gone, then or at the check. The bench holds the answers
// against the document.
func TestAFactorThatIsGone(t *testing.T) {
	var err error
	b := newBench(t, options{strategies: []watchword.Strategy{faulty{func() error { return err }}}})
	started := b.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa","subject":"user_42","factor":"fa_1"}`).want(t, http.StatusCreated, "")
	err = watchword.ErrUnknownFactor
	b.post("/v1/challenges/"+started.str("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"1"}`).want(t, http.StatusNotFound, "unknown_factor")
	b.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa","subject":"user_42","factor":"fa_1"}`).want(t, http.StatusNotFound, "unknown_factor")
}
