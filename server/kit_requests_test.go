package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An apiResponse is a response with its decoded body.
type apiResponse struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (r *apiResponse) stringAt(path ...string) string {
	s, _ := r.valueAt(path...).(string)
	return s
}

func (r *apiResponse) valueAt(path ...string) any {
	var v any = r.body
	for _, p := range path {
		m, _ := v.(map[string]any)
		v = m[p]
	}
	return v
}

// errorFields returns the names of the fields in errors.
func (r *apiResponse) errorFields() (out []string) {
	list, _ := r.body["errors"].([]any)
	for _, e := range list {
		m, _ := e.(map[string]any)
		name, _ := m["field"].(string)
		out = append(out, name)
	}
	return out
}

// newRequest returns a request with the API key of the shop and, if there is a body, the JSON content type. Headers are pairs
// of name and value; an empty value removes a header.
func newRequest(method, target, body string, headers ...string) *http.Request {
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "https://shop.example.com"+target, reader)
	r.Header.Set("Authorization", "Bearer "+shopKey)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for n := 0; n+1 < len(headers); n += 2 {
		if headers[n+1] == "" {
			r.Header.Del(headers[n])
		} else {
			r.Header.Set(headers[n], headers[n+1])
		}
	}
	return r
}

// checkCommonProperties checks the headers of every response, and the form of a problem.
func checkCommonProperties(t testing.TB, r *http.Request, out *apiResponse) {
	t.Helper()
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
		if got := out.header.Get(name); got != want {
			t.Errorf("%s %s: %s is %q, not %q", r.Method, r.URL.Path, name, got, want)
		}
	}
	if out.header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: no X-Request-Id", r.Method, r.URL.Path)
	}
	if out.status < 400 {
		return
	}
	if got := out.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s %s: a problem with the content type %q", r.Method, r.URL.Path, got)
	}
	code := out.stringAt("code")
	if out.valueAt("status") != float64(out.status) || !strings.HasSuffix(out.stringAt("type"), ".example.com/problems/"+code) || out.stringAt("title") == "" {
		t.Errorf("%s %s: invalid problem: %s", r.Method, r.URL.Path, out.text)
	}
}

// want requires the status and, for problems, the code.
func (r *apiResponse) want(t testing.TB, status int, code string) *apiResponse {
	t.Helper()
	if r.status != status || r.stringAt("code") != code {
		t.Fatalf("got %d %q, want %d %q: %s", r.status, r.stringAt("code"), status, code, r.text)
	}
	return r
}

const signInRequest = `{"strategy":"otp","purpose":"sign_in","channel":"sms","to":"+14155550123","subject":"user_42"}`
