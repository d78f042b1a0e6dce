package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
)

// An apiContract is the OpenAPI document of a server, parsed by another library than the one that wrote it.
type apiContract struct {
	validator validator.Validator
	model     *v3.Document
}

// contracts are the contracts by document. All test servers have the same document, and a validator takes long to build.
var contracts sync.Map // of func() *apiContract

// contractOf returns the contract of a server.
func contractOf(t testing.TB, ts *testServer) *apiContract {
	t.Helper()
	w := httptest.NewRecorder()
	ts.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	text := w.Body.String()
	build, _ := contracts.LoadOrStore(text, sync.OnceValue(func() *apiContract { return newAPIContract(t, []byte(text)) }))
	return build.(func() *apiContract)()
}

func newAPIContract(t testing.TB, text []byte) *apiContract {
	t.Helper()
	document, err := libopenapi.NewDocument(forbidUnknownFields(t, text))
	must(t, err)
	v, errs := validator.NewValidator(document)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if ok, errs := v.ValidateDocument(); !ok {
		t.Fatalf("the OpenAPI document is not valid: %v", errs)
	}
	model, err := document.BuildV3Model()
	must(t, err)
	return &apiContract{validator: v, model: &model.Model}
}

// forbidUnknownFields returns the document with additionalProperties false for responses, so that validation finds fields that
// the document does not name. The published document allows additional fields.
func forbidUnknownFields(t testing.TB, document []byte) []byte {
	t.Helper()
	var doc map[string]any
	must(t, json.Unmarshal(document, &doc))
	changed := 0
	for _, schema := range doc["components"].(map[string]any)["schemas"].(map[string]any) {
		s := schema.(map[string]any)
		if _, given := s["additionalProperties"]; !given && s["properties"] != nil {
			s["additionalProperties"] = false
			changed++
		}
	}
	if changed < 5 {
		t.Errorf("only %d schemas allow additional fields", changed)
	}
	text, err := json.Marshal(doc)
	must(t, err)
	return text
}

// validate checks request and response of an operation against the document: the request only if it was accepted. It also
// checks that the document names the problem's code for the operation.
func (c *apiContract) validate(t testing.TB, r *http.Request, body []byte, response *http.Response, out *apiResponse) {
	t.Helper()
	operation := c.findOperation(r)
	if operation == nil {
		return
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(omitNulls(t, body)))
	if out.status < 400 {
		if ok, errs := c.validator.ValidateHttpRequestSync(again); !ok {
			t.Errorf("%s %s: accepted a request that the document does not allow: %v\n%s", r.Method, r.URL.Path, errs, body)
		}
	}
	response.Body = io.NopCloser(strings.NewReader(out.text))
	again.Body = io.NopCloser(bytes.NewReader(body))
	if ok, errs := c.validator.ValidateHttpResponse(again, response); !ok {
		t.Errorf("%s %s: a response that the document does not allow: %v\n%s", r.Method, r.URL.Path, errs, out.text)
	}
	if code := out.stringAt("code"); code != "" {
		documented := operation.Responses.Codes.GetOrZero(response.Status[:3])
		if documented == nil || !slices.Contains(strings.Split(documented.Description, ", "), code) {
			t.Errorf("%s %s: the document does not name the problem %s", r.Method, r.URL.Path, code)
		}
	}
}

// omitNulls returns a body without the fields that are null. The server reads null like omission, and the document does not name
// it, because generators make two kinds of absence of a field that is optional and nullable.
func omitNulls(t testing.TB, body []byte) []byte {
	t.Helper()
	var fields any
	if !bytes.Contains(body, []byte("null")) || json.Unmarshal(body, &fields) != nil {
		return body
	}
	var omit func(v any)
	omit = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			maps.DeleteFunc(v, func(_ string, value any) bool { return value == nil })
			for _, value := range v {
				omit(value)
			}
		case []any:
			for _, value := range v {
				omit(value)
			}
		}
	}
	omit(fields)
	text, err := json.Marshal(fields)
	must(t, err)
	return text
}

// A field that is optional and nullable has two kinds of absence in generated clients.
func TestDocumentHasNoNullableFields(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	if text := ts.get("/openapi.json").text; strings.Contains(text, `"null"`) {
		t.Errorf("the document has nullable fields: %s", text)
	}
}

// findOperation returns the operation of a request, or nil if the document has none, as for pages.
func (c *apiContract) findOperation(r *http.Request) *v3.Operation {
	for path, item := range c.model.Paths.PathItems.FromOldest() {
		if !matchesTemplate(path, r.URL.Path) {
			continue
		}
		for method, o := range item.GetOperations().FromOldest() {
			if strings.EqualFold(method, r.Method) {
				return o
			}
		}
	}
	return nil
}

func matchesTemplate(template, path string) bool {
	a, b := strings.Split(template, "/"), strings.Split(path, "/")
	return slices.EqualFunc(a, b, func(part, actual string) bool {
		return part == actual || strings.HasPrefix(part, "{") && actual != "" && actual != ".."
	})
}
