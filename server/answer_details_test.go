package server_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/watchword-auth/watchword"
)

// A detailStrategy rejects every answer with a detail, as the strategy totp does for a wrong clock.
type detailStrategy struct {
	factorStrategy
	detail any
}

func (detailStrategy) Name() string { return "detailed" }

func (r detailStrategy) Verify(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{Extra: map[string]any{"clock_offset_seconds": r.detail}}, watchword.ErrMismatch
}

// The response has the details of the strategy, except values that have no JSON form.
func TestCheckReturnsStrategyDetailsOfWrongAnswer(t *testing.T) {
	for _, c := range []struct {
		name         string
		remark, want any
	}{{"a number", -70, -70.0}, {"no JSON form", func() {}, nil}} {
		t.Run(c.name, func(t *testing.T) {
			ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{detailStrategy{detail: c.remark}}})
			started := ts.post("/v1/challenges", `{"strategy":"detailed","purpose":"mfa","subject":"user_42"}`).want(t, http.StatusCreated, "")
			r := ts.post("/v1/challenges/"+started.stringAt("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"287082"}`)
			r.want(t, http.StatusUnprocessableEntity, "incorrect_answer")
			details, _ := r.valueAt("details").(map[string]any)
			if details["clock_offset_seconds"] != c.want || r.valueAt("attempts_remaining") == nil {
				t.Errorf("answer: %s", r.text)
			}
		})
	}
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	started := ts.post("/v1/challenges", `{"strategy":"hardware","purpose":"mfa","subject":"user_42"}`)
	r := ts.post("/v1/challenges/"+started.stringAt("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"wrong"}`)
	if r.want(t, http.StatusUnprocessableEntity, "incorrect_answer").valueAt("details") != nil {
		t.Errorf("details without a detail of the strategy: %s", r.text)
	}
}

// A start may name the only factor that may answer. The factor may have been removed before the start or before the check.
func TestStartAndCheckReportRemovedFactorAsUnknown(t *testing.T) {
	var err error
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error { return err }}}})
	started := ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa","subject":"user_42","factor":"fa_1"}`).want(t, http.StatusCreated, "")
	err = watchword.ErrUnknownFactor
	ts.post("/v1/challenges/"+started.stringAt("id")+"/check", `{"purpose":"mfa","subject":"user_42","answer":"1"}`).want(t, http.StatusNotFound, "unknown_factor")
	ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa","subject":"user_42","factor":"fa_1"}`).want(t, http.StatusNotFound, "unknown_factor")
}
