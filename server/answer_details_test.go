package server_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/watchword-auth/watchword"
)

// A detailStrategy finds every answer wrong and says something about it, like an authenticator app's strategy about its clock.
type detailStrategy struct {
	factorStrategy
	detail any
}

func (detailStrategy) Name() string { return "remarker" }

func (r detailStrategy) Verify(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{Extra: map[string]any{"clock_offset_seconds": r.detail}}, watchword.ErrMismatch
}

// What a strategy found out about a wrong answer is told to the app's backend; what is no JSON is left out.
func TestCheckReturnsStrategyDetailsOfWrongAnswer(t *testing.T) {
	for _, c := range []struct {
		name         string
		remark, want any
	}{{"a number", -70, -70.0}, {"no JSON", func() {}, nil}} {
		t.Run(c.name, func(t *testing.T) {
			ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{detailStrategy{detail: c.remark}}})
			started := ts.post("/v1/challenges", `{"strategy":"remarker","purpose":"mfa","subject":"user_42"}`).want(t, http.StatusCreated, "")
			r := ts.post("/v1/challenges/"+started.stringAt("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"287082"}`)
			r.want(t, http.StatusUnprocessableEntity, "incorrect_answer")
			details, _ := r.valueAt("details").(map[string]any)
			if details["clock_offset_seconds"] != c.want || r.valueAt("attempts_remaining") == nil {
				t.Errorf("answer: %s", r.text)
			}
		})
	}
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	started := ts.post("/v1/challenges", `{"strategy":"keeper","purpose":"mfa","subject":"user_42"}`)
	r := ts.post("/v1/challenges/"+started.stringAt("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"wrong"}`)
	if r.want(t, http.StatusUnprocessableEntity, "incorrect_answer").valueAt("details") != nil {
		t.Errorf("details of nothing: %s", r.text)
	}
}

// A start may name the one factor that answers, which may be gone, then or at the check. The bench holds the answers
// against the document.
func TestStartAndCheckReportRemovedFactorAsUnknown(t *testing.T) {
	var err error
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error { return err }}}})
	started := ts.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa","subject":"user_42","factor":"fa_1"}`).want(t, http.StatusCreated, "")
	err = watchword.ErrUnknownFactor
	ts.post("/v1/challenges/"+started.stringAt("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"1"}`).want(t, http.StatusNotFound, "unknown_factor")
	ts.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa","subject":"user_42","factor":"fa_1"}`).want(t, http.StatusNotFound, "unknown_factor")
}
