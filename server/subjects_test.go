package server_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
)

// sendRequest sends a request over TCP, as clients do, and decodes the response.
func sendRequest(t rapid.TB, method, target, body string) (status int, out map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+shopKey)
	if method == http.MethodDelete {
		r.Header.Set("Authorization", "Bearer "+adminKey)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Body.Close() }()
	text, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &out); err != nil {
			t.Fatalf("%s %s: %s", method, target, text)
		}
	}
	return w.StatusCode, out
}

// enrolListRemove enrols a factor for a subject, lists its factors and removes the subject. It returns false if the start
// rejected the subject, and fails if a later step does not work.
func enrolListRemove(t rapid.TB, base, subject string) bool {
	t.Helper()
	body := func(more string) string {
		text, err := json.Marshal(subject)
		if err != nil {
			t.Fatal(err)
		}
		return `{"purpose":"enrol","subject":` + string(text) + more + `}`
	}
	status, started := sendRequest(t, http.MethodPost, base+"/v1/challenges", body(`,"strategy":"hardware"`))
	if status == http.StatusBadRequest {
		return false
	}
	id, _ := started["id"].(string)
	if status, out := sendRequest(t, http.MethodPost, base+"/v1/challenges/"+id+"/check", body(`,"answer":"right"`)); status != http.StatusOK {
		t.Fatalf("%+q enrols: %d %v", subject, status, out)
	}
	listed := func() (subjects []string) {
		_, out := sendRequest(t, http.MethodGet, base+"/v1/factors?subject="+url.QueryEscape(subject), "")
		all, _ := out["factors"].([]any)
		for _, f := range all {
			text, _ := f.(map[string]any)["subject"].(string)
			subjects = append(subjects, text)
		}
		return subjects
	}
	if got := listed(); !slices.Equal(got, []string{subject}) {
		t.Fatalf("%+q is listed as %+q", subject, got)
	}
	if status, out := sendRequest(t, http.MethodDelete, base+"/v1/subjects/"+url.PathEscape(subject), ""); status != http.StatusNoContent {
		t.Fatalf("%+q is removed: %d %v", subject, status, out)
	}
	if got := listed(); len(got) > 0 {
		t.Fatalf("%+q is still there: %+q", subject, got)
	}
	return true
}

func startListening(t *testing.T) (base string) {
	t.Helper()
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{}}})
	s := httptest.NewServer(ts.server)
	t.Cleanup(s.Close)
	return s.URL
}

func TestRemoveSubjectRemovesEverySubjectThatStartAccepts(t *testing.T) {
	base := startListening(t)
	part := rapid.SampledFrom([]string{".", "..", "/", "\\", "%", "%2F", "%2e", "?", "#", "&", "+", ";", ":", "=", "@", " ", "a", "Z", "7", "ü", "用", "\u0301", "\u00a0", "\u200b", "\u202e", "\ufe0f", "\t", "\x00"})
	subject := rapid.OneOf(rapid.StringN(1, 20, 255), rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(part, 1, 5).Draw(t, "parts"), "")
	}))
	rapid.Check(t, func(t *rapid.T) { enrolListRemove(t, base, subject.Draw(t, "subject")) })
}

func TestRemoveSubjectRemovesSubjectsThatNeedEscaping(t *testing.T) {
	base := startListening(t)
	for _, subject := range []string{"a/b", "//", "a//b", "a/", "/a", "a/..", "../a", "...", ".a", "%2F", "%", "%2e%2e", "a b", "a?b=c", "a#b", "a+b", "a;b", "a\\b", "ü/ü"} {
		if !enrolListRemove(t, base, subject) {
			t.Errorf("%q is rejected", subject)
		}
	}
	for _, subject := range []string{".", "..", "/", " a", "a ", "a\u200bb", "a\u202eb"} {
		if enrolListRemove(t, base, subject) {
			t.Errorf("%+q is accepted", subject)
		}
	}
}
