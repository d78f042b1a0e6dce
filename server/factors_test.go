package server_test

import (
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// enrol lets a subject of the shop keep something, and returns the receipt that the check comes with.
func (b *bench) enrol(subject, authorization string) *reply {
	b.t.Helper()
	proof := ""
	if authorization != "" {
		proof = `,"authorization":"` + authorization + `"`
	}
	started := b.post("/v1/challenges", `{"strategy":"keeper","purpose":"enrol","subject":"`+subject+`","label":"My key"`+proof+`}`)
	if started.status != http.StatusCreated {
		return started
	}
	return b.post("/v1/challenges/"+started.str("id")+"/check", `{"purpose":"enrol","subject":"`+subject+`","answer":"right"}`)
}

func (b *bench) change(method, target, body, proof string, headers ...string) *reply {
	b.t.Helper()
	return b.do(request(method, target, body, append(headers, "Watchword-Authorization", proof)...))
}

func TestFactors(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	b.get("/v1/factors?subject=user_42").want(t, http.StatusOK, "")
	receipt := b.enrol("user_42", "").want(t, http.StatusOK, "").str("receipt")
	list := b.get("/v1/factors?subject=user_42").want(t, http.StatusOK, "")
	one := b.get("/v1/factors/fa_1", "Authorization", "Bearer "+factorsKey).want(t, http.StatusOK, "")
	if !reflect.DeepEqual(list.at("factors"), []any{any(one.body)}) {
		t.Errorf("list %s, one %s", list.text, one.text)
	}
	names(t, one, "id", "strategy", "subject", "label", "created_at", "status", "public")

	const label = `{"label":"Another"}`
	b.change(http.MethodPatch, "/v1/factors/fa_1", label, "").want(t, http.StatusForbidden, "proof_required")
	b.change(http.MethodPatch, "/v1/factors/fa_1", label, "eyJ").want(t, http.StatusForbidden, "proof_required")
	b.change(http.MethodDelete, "/v1/factors/fa_1", "", "").want(t, http.StatusForbidden, "proof_required")
	b.change(http.MethodDelete, "/v1/subjects/user_42", "", "").want(t, http.StatusForbidden, "proof_required")
	if r := b.change(http.MethodPatch, "/v1/factors/fa_1", label, receipt).want(t, http.StatusOK, ""); r.str("label") != "Another" {
		t.Errorf("renamed: %s", r.text)
	}
	b.change(http.MethodPatch, "/v1/factors/fa_1", label, receipt).want(t, http.StatusForbidden, "proof_required") // spent
	admin := []string{"Authorization", "Bearer " + adminKey}
	b.change(http.MethodPatch, "/v1/factors/fa_1", label, receipt, admin...).want(t, http.StatusForbidden, "proof_required") // a proof that is shown counts
	b.change(http.MethodPatch, "/v1/factors/fa_1", label, "", admin...).want(t, http.StatusOK, "")
	if r := b.change(http.MethodDelete, "/v1/factors/fa_1", "", "", admin...).want(t, http.StatusNoContent, ""); r.text != "" || r.header.Get("Content-Type") != "" {
		t.Errorf("204 with %q", r.text)
	}
	b.get("/v1/factors/fa_1").want(t, http.StatusNotFound, "unknown_factor")
	b.change(http.MethodDelete, "/v1/factors/fa_1", "", "", admin...).want(t, http.StatusNotFound, "unknown_factor")
	b.change(http.MethodDelete, "/v1/subjects/user_42", "", "").want(t, http.StatusNoContent, "")
}

func TestEnrollingWhereSomethingIsEnrolled(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	receipt := b.enrol("user_42", "").want(t, http.StatusOK, "").str("receipt")
	b.enrol("user_42", "").want(t, http.StatusForbidden, "proof_required")
	b.enrol("user_42", "eyJ").want(t, http.StatusForbidden, "proof_required")
	b.clock.move(5*time.Minute - time.Second)
	if r := b.enrol("user_42", receipt); r.str("code") == "proof_required" {
		t.Errorf("a proof that is still fresh: %s", r.text)
	}
	b.enrol("user_42", receipt).want(t, http.StatusForbidden, "proof_required")
}

// TestOddSubjects go through path and query as they are.
func TestOddSubjects(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	b.enrol("a//b/../ü", "").want(t, http.StatusOK, "")
	b.change(http.MethodDelete, "/v1/subjects/a%2F%2Fb%2F..%2F%C3%BC", "", "", "Authorization", "Bearer "+adminKey).want(t, http.StatusNoContent, "")
	if r := b.get("/v1/factors?subject=a%2F%2Fb%2F..%2F%C3%BC"); len(r.at("factors").([]any)) != 0 {
		t.Errorf("still there: %s", r.text)
	}
}

func TestForeignFactorsLookUnknown(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	b.enrol("user_42", "").want(t, http.StatusOK, "")
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		body := ""
		if method == http.MethodPatch {
			body = `{"label":"x"}`
		}
		foreign := b.do(request(method, "/v1/factors/fa_1", body, "Authorization", "Bearer "+bankKey)).want(t, http.StatusNotFound, "unknown_factor")
		unknown := b.do(request(method, "/v1/factors/fa_2", body, "Authorization", "Bearer "+bankKey)).want(t, http.StatusNotFound, "unknown_factor")
		if foreign.text != unknown.text {
			t.Errorf("%s tells them apart: %s and %s", method, foreign.text, unknown.text)
		}
	}
}

func TestBadFactorRequests(t *testing.T) {
	b := newBench(t, options{strategies: []watchword.Strategy{keeper{}}})
	b.enrol("user_42", "").want(t, http.StatusOK, "")
	for query, field := range map[string]string{"": "subject", "?subject=": "subject", "?subject=a&subject=b": "subject", "?Subject=a": "Subject", "?subject=a&wait=1": "wait"} {
		if r := b.get("/v1/factors"+query).want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.fields(), []string{field}) {
			t.Errorf("%q: names %q", query, r.fields())
		}
	}
	for body, field := range map[string]string{`{}`: "label", `{"label":null}`: "label", `{"label":1}`: "label", `{"label":"x","status":"active"}`: "status", `{"label":"a\nb"}`: "label"} {
		if r := b.change(http.MethodPatch, "/v1/factors/fa_1", body, "").want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.fields(), []string{field}) {
			t.Errorf("%s: names %q", body, r.fields())
		}
	}
	twice := request(http.MethodDelete, "/v1/factors/fa_1", "")
	twice.Header["Watchword-Authorization"] = []string{"a", "b"}
	if r := b.do(twice).want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.fields(), []string{"Watchword-Authorization"}) {
		t.Errorf("names %q", r.fields())
	}
}
