package server_test

import (
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// enrolFactor enrols a factor for a subject of the shop and returns the response to the check, or to a start that failed.
func (ts *testServer) enrolFactor(subject, authorization string) *apiResponse {
	ts.t.Helper()
	proof := ""
	if authorization != "" {
		proof = `,"authorization":"` + authorization + `"`
	}
	started := ts.post("/v1/challenges", `{"strategy":"hardware","purpose":"enrol","subject":"`+subject+`","label":"My key"`+proof+`}`)
	if started.status != http.StatusCreated {
		return started
	}
	return ts.post("/v1/challenges/"+started.stringAt("id")+"/check", `{"purpose":"enrol","subject":"`+subject+`","answer":"right"}`)
}

func (ts *testServer) sendWithProof(method, target, body, proof string, headers ...string) *apiResponse {
	ts.t.Helper()
	return ts.send(newRequest(method, target, body, append(headers, "Watchword-Authorization", proof)...))
}

func TestFactorChangesNeedProofOrAdminKey(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	ts.get("/v1/factors?subject=user_42").want(t, http.StatusOK, "")
	receipt := ts.enrolFactor("user_42", "").want(t, http.StatusOK, "").stringAt("receipt")
	list := ts.get("/v1/factors?subject=user_42").want(t, http.StatusOK, "")
	one := ts.get("/v1/factors/fa_1", "Authorization", "Bearer "+factorsKey).want(t, http.StatusOK, "")
	if !reflect.DeepEqual(list.valueAt("factors"), []any{any(one.body)}) {
		t.Errorf("list %s, one %s", list.text, one.text)
	}
	requireFields(t, one, "id", "strategy", "subject", "label", "created_at", "status", "public")

	const label = `{"label":"Another"}`
	ts.sendWithProof(http.MethodPatch, "/v1/factors/fa_1", label, "").want(t, http.StatusForbidden, "proof_required")
	ts.sendWithProof(http.MethodPatch, "/v1/factors/fa_1", label, "eyJ").want(t, http.StatusForbidden, "proof_required")
	ts.sendWithProof(http.MethodDelete, "/v1/factors/fa_1", "", "").want(t, http.StatusForbidden, "proof_required")
	ts.sendWithProof(http.MethodDelete, "/v1/subjects/user_42", "", "").want(t, http.StatusForbidden, "proof_required")
	if r := ts.sendWithProof(http.MethodPatch, "/v1/factors/fa_1", label, receipt).want(t, http.StatusOK, ""); r.stringAt("label") != "Another" {
		t.Errorf("renamed: %s", r.text)
	}
	ts.sendWithProof(http.MethodPatch, "/v1/factors/fa_1", label, receipt).want(t, http.StatusForbidden, "proof_required") // the proof was used
	admin := []string{"Authorization", "Bearer " + adminKey}
	ts.sendWithProof(http.MethodPatch, "/v1/factors/fa_1", label, receipt, admin...).want(t, http.StatusForbidden, "proof_required") // a proof that is sent must be valid
	ts.sendWithProof(http.MethodPatch, "/v1/factors/fa_1", label, "", admin...).want(t, http.StatusOK, "")
	if r := ts.sendWithProof(http.MethodDelete, "/v1/factors/fa_1", "", "", admin...).want(t, http.StatusNoContent, ""); r.text != "" || r.header.Get("Content-Type") != "" {
		t.Errorf("204 with %q", r.text)
	}
	ts.get("/v1/factors/fa_1").want(t, http.StatusNotFound, "unknown_factor")
	ts.sendWithProof(http.MethodDelete, "/v1/factors/fa_1", "", "", admin...).want(t, http.StatusNotFound, "unknown_factor")
	ts.sendWithProof(http.MethodDelete, "/v1/subjects/user_42", "", "").want(t, http.StatusNoContent, "")
}

func TestSecondEnrolmentNeedsFreshProof(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	receipt := ts.enrolFactor("user_42", "").want(t, http.StatusOK, "").stringAt("receipt")
	ts.enrolFactor("user_42", "").want(t, http.StatusForbidden, "proof_required")
	ts.enrolFactor("user_42", "eyJ").want(t, http.StatusForbidden, "proof_required")
	ts.clock.advance(5*time.Minute - time.Second)
	if r := ts.enrolFactor("user_42", receipt); r.stringAt("code") == "proof_required" {
		t.Errorf("a proof that has not expired: %s", r.text)
	}
	ts.enrolFactor("user_42", receipt).want(t, http.StatusForbidden, "proof_required")
}

func TestRemoveSubjectAcceptsEscapedSubject(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	ts.enrolFactor("a//b/../ü", "").want(t, http.StatusOK, "")
	ts.sendWithProof(http.MethodDelete, "/v1/subjects/a%2F%2Fb%2F..%2F%C3%BC", "", "", "Authorization", "Bearer "+adminKey).want(t, http.StatusNoContent, "")
	if r := ts.get("/v1/factors?subject=a%2F%2Fb%2F..%2F%C3%BC"); len(r.valueAt("factors").([]any)) != 0 {
		t.Errorf("still there: %s", r.text)
	}
}

func TestFactorsOfAnotherAppAreUnknown(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	ts.enrolFactor("user_42", "").want(t, http.StatusOK, "")
	for _, method := range []string{http.MethodGet, http.MethodPatch, http.MethodDelete} {
		body := ""
		if method == http.MethodPatch {
			body = `{"label":"x"}`
		}
		foreign := ts.send(newRequest(method, "/v1/factors/fa_1", body, "Authorization", "Bearer "+bankKey)).want(t, http.StatusNotFound, "unknown_factor")
		unknown := ts.send(newRequest(method, "/v1/factors/fa_2", body, "Authorization", "Bearer "+bankKey)).want(t, http.StatusNotFound, "unknown_factor")
		if foreign.text != unknown.text {
			t.Errorf("%s: responses differ: %s and %s", method, foreign.text, unknown.text)
		}
	}
}

func TestFactorRequestsNameInvalidField(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	ts.enrolFactor("user_42", "").want(t, http.StatusOK, "")
	for query, field := range map[string]string{"": "subject", "?subject=": "subject", "?subject=a&subject=b": "subject", "?Subject=a": "Subject", "?subject=a&wait=1": "wait"} {
		if r := ts.get("/v1/factors"+query).want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.errorFields(), []string{field}) {
			t.Errorf("%q: names %q", query, r.errorFields())
		}
	}
	for body, field := range map[string]string{`{}`: "label", `{"label":null}`: "label", `{"label":1}`: "label", `{"label":"x","status":"active"}`: "status", `{"label":"a\nb"}`: "label"} {
		if r := ts.sendWithProof(http.MethodPatch, "/v1/factors/fa_1", body, "").want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.errorFields(), []string{field}) {
			t.Errorf("%s: names %q", body, r.errorFields())
		}
	}
	twice := newRequest(http.MethodDelete, "/v1/factors/fa_1", "")
	twice.Header["Watchword-Authorization"] = []string{"a", "b"}
	if r := ts.send(twice).want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.errorFields(), []string{"Watchword-Authorization"}) {
		t.Errorf("names %q", r.errorFields())
	}
}
