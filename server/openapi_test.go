package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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

// contracts are the contracts by document. But for the strategies, all test servers have the same document, and a validator takes long
// to build.
var contracts sync.Map // of func() *apiContract

// contractOf returns the contract of a server.
func contractOf(t testing.TB, ts *testServer) *apiContract {
	t.Helper()
	w := httptest.NewRecorder()
	ts.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	text := string(omitStrategies(t, w.Body.Bytes()))
	build, _ := contracts.LoadOrStore(text, sync.OnceValue(func() *apiContract { return newAPIContract(t, []byte(text)) }))
	return build.(func() *apiContract)()
}

// documentSchemas returns the schemas of a parsed document.
func documentSchemas(document map[string]any) map[string]any {
	return document["components"].(map[string]any)["schemas"].(map[string]any)
}

// strategyOf returns the property strategy of a schema.
func strategyOf(document map[string]any, schema string) map[string]any {
	return documentSchemas(document)[schema].(map[string]any)["properties"].(map[string]any)["strategy"].(map[string]any)
}

// omitStrategies returns the document without the names of the strategies that requests can name.
func omitStrategies(t testing.TB, text []byte) []byte {
	t.Helper()
	var document map[string]any
	must(t, json.Unmarshal(text, &document))
	for _, schema := range []string{"StartRequest", "MethodRequest"} {
		delete(strategyOf(document, schema), "enum")
	}
	out, err := json.Marshal(document)
	must(t, err)
	return out
}

func TestDocumentListsTheStrategiesThatRequestsCanName(t *testing.T) {
	t.Parallel()
	ts := newTestServer(t, serverOptions{strategies: realStrategies(t)})
	var document map[string]any
	must(t, json.Unmarshal([]byte(ts.get("/openapi.json").text), &document))
	for _, schema := range []string{"StartRequest", "MethodRequest"} {
		if got := fmt.Sprint(strategyOf(document, schema)["enum"]); got != "[magiclink otp recovery totp webauthn]" {
			t.Errorf("%s: %s", schema, got)
		}
	}
	if enum := strategyOf(document, "Challenge")["enum"]; enum != nil {
		t.Errorf("responses can have other strategies later, and the document lists %v", enum)
	}
}

// The examples of responses are what a server could respond with.
func TestExamplesOfResponsesAreOfTheirSchemas(t *testing.T) {
	t.Parallel()
	ts := newTestServer(t, serverOptions{})
	var document struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct{ Example json.RawMessage }
			}
		}
	}
	must(t, json.Unmarshal([]byte(ts.get("/openapi.json").text), &document))
	examples := 0
	for path, methods := range document.Paths {
		for method, o := range methods {
			for status, r := range o.Responses {
				example := r.Content["application/json"].Example
				if example == nil {
					continue
				}
				examples++
				request := httptest.NewRequest(strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "id_1"), nil)
				code, err := strconv.Atoi(status)
				must(t, err)
				response := &http.Response{StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(example))}
				if ok, errs := contractOf(t, ts).validator.ValidateHttpResponse(request, response); !ok {
					t.Errorf("%s %s: %v", method, path, errs)
				}
			}
		}
	}
	if examples < 8 {
		t.Errorf("%d examples", examples)
	}
}

// The codes of an operation are those that its responses describe by status.
func TestDocumentListsTheProblemCodesOfEachOperation(t *testing.T) {
	t.Parallel()
	ts := newTestServer(t, serverOptions{})
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string   `json:"operationId"`
			Codes       []string `json:"x-problem-codes"`
			Responses   map[string]struct{ Description string }
		}
	}
	must(t, json.Unmarshal([]byte(ts.get("/openapi.json").text), &document))
	for _, methods := range document.Paths {
		for _, o := range methods {
			var described []string
			for status, r := range o.Responses {
				if status >= "400" {
					described = append(described, strings.Split(r.Description, ", ")...)
				}
			}
			slices.Sort(described)
			if described = slices.Compact(described); !slices.Equal(described, o.Codes) {
				t.Errorf("%s lists %v and describes %v", o.OperationID, o.Codes, described)
			}
		}
	}
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
