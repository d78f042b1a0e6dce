package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// apiVersion is the version of the API, in the document and the paths.
const apiVersion = "1"

// keyScheme is the name of the document's security scheme.
const keyScheme = "key"

// schemasPath is the prefix of references to the document's schemas.
const schemasPath = "#/components/schemas/"

// problemCodesExtension is the member of an operation in the document that lists the codes of its problems.
const problemCodesExtension = "x-problem-codes"

// describeAPI returns the OpenAPI 3.1 document of the operations. Requests can name the strategies.
func describeAPI(operations []operation, strategies []string, publicURL string) ([]byte, error) {
	d := documentBuilder{problemTypes: indexProblemTypes(), examples: requestExamples(), responses: responseExamples(), requests: map[string]bool{}, schemas: huma.NewMapRegistry(schemasPath, schemaName)}
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "watchword", Version: apiVersion,
			Description: "Verify that a person controls a phone number, a mailbox, an authenticator app or a security key, and get a signed, single-use receipt. Requests are decoded strictly: unknown names, repeated names, names in another case and values of another type are rejected. For an optional field, null equals omission."},
		Servers: []*huma.Server{{URL: publicURL}},
		Components: &huma.Components{Schemas: d.schemas, SecuritySchemes: map[string]*huma.SecurityScheme{
			keyScheme: {Type: "http", Scheme: "bearer", Description: "An API key of the app with the scope of the operation."}}},
	}
	for n := range operations {
		doc.AddOperation(d.buildOperation(&operations[n]))
	}
	d.listProblemCodes()
	d.listStrategies(strategies)
	d.describeClaims()
	d.relaxSchemas()
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	return text, nil
}

// A documentBuilder converts operations to those of the OpenAPI document.
type documentBuilder struct {
	problemTypes map[string]problemType
	schemas      huma.Registry
	requests     map[string]bool            // the names of the schemas of requests
	examples     map[string]json.RawMessage // of request bodies, by the id of the operation
	responses    map[string]json.RawMessage // examples of successful responses, by the id of the operation
}

// schemaName returns the name of a type's schema: without the suffixes View and Field, which only the Go code uses.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for _, suffix := range []string{"View", "Field"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

func (d *documentBuilder) buildOperation(o *operation) *huma.Operation {
	out := &huma.Operation{Method: o.method, Path: o.path, OperationID: o.id, Summary: o.summary, Description: o.description, Tags: []string{tagOf(o.path)},
		Parameters: d.buildParameters(o), Responses: d.buildResponses(o)}
	if codes := o.problemCodes(); len(codes) > 0 {
		slices.Sort(codes)
		out.Extensions = map[string]any{problemCodesExtension: slices.Compact(codes)}
	}
	if o.scope != "" {
		out.Security = []map[string][]string{{keyScheme: {o.scope}}}
	}
	if o.requestType != nil {
		content := d.buildContent(contentTypeJSON, o.requestType)
		content[contentTypeJSON].Example = d.examples[o.id]
		out.RequestBody = &huma.RequestBody{Required: !o.optionalBody, Content: content}
		d.addRequest(o.requestType)
	}
	return out
}

func (d *documentBuilder) buildParameters(o *operation) (out []*huma.Param) {
	text := &huma.Schema{Type: huma.TypeString}
	for segment := range strings.SplitSeq(o.path, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok {
			out = append(out, &huma.Param{Name: strings.TrimSuffix(name, "}"), In: "path", Required: true, Schema: text})
		}
	}
	for _, p := range o.parameters {
		out = append(out, &huma.Param{Name: p.name, In: p.in, Description: p.description, Required: p.required, Schema: p.schema})
	}
	if o.method == http.MethodPost {
		out = append(out, &huma.Param{Name: idempotencyHeader, In: inHeader,
			Description: "A request with the same key and the same body gets the first response again and has no further effect.",
			Schema:      &huma.Schema{Type: huma.TypeString, Pattern: "^[!-~]{1," + strconv.Itoa(maxIdempotencyKey) + "}$"}})
	}
	return out
}

// buildResponses returns the successful response and the problems by status.
func (d *documentBuilder) buildResponses(o *operation) map[string]*huma.Response {
	content := d.buildContent(contentTypeJSON, o.responseType)
	if example := d.responses[o.id]; example != nil {
		content[contentTypeJSON].Example = example
	}
	out := map[string]*huma.Response{strconv.Itoa(o.status): {Description: http.StatusText(o.status), Content: content}}
	byStatus := map[int][]string{}
	for _, code := range o.problemCodes() {
		status := d.problemTypes[code].Status
		byStatus[status] = append(byStatus[status], code)
	}
	for status, codes := range byStatus {
		slices.Sort(codes)
		r := &huma.Response{Description: strings.Join(codes, ", "), Content: d.buildContent(contentTypeProblem, reflect.TypeFor[problem]())}
		if status == http.StatusTooManyRequests {
			r.Headers = map[string]*huma.Param{"Retry-After": {Description: "Seconds.", Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0)}}}
		}
		out[strconv.Itoa(status)] = r
	}
	return out
}

func (d *documentBuilder) buildContent(contentType string, t reflect.Type) map[string]*huma.MediaType {
	if t == nil {
		return nil
	}
	return map[string]*huma.MediaType{contentType: {Schema: d.schemas.Schema(t, true, t.Name())}}
}

// addRequest adds the schemas of a request and of the objects in it to requests. Optional fields of requests are not nullable in
// the document, although the server reads null like omission: generators make two kinds of absence of such a field.
func (d *documentBuilder) addRequest(t reflect.Type) {
	name := schemaName(t, "")
	if d.schemas.Map()[name] == nil {
		return
	}
	d.requests[name] = true
	for n := range t.NumField() {
		nested := t.Field(n).Type
		if nested.Kind() == reflect.Slice || nested.Kind() == reflect.Pointer {
			nested = nested.Elem()
		}
		if nested.Kind() == reflect.Struct {
			d.addRequest(nested)
		}
	}
}

// relaxSchemas allows additional fields in responses, so that later versions can add some, and marks no field as nullable: empty
// fields of responses are omitted, and for those of requests see addRequest.
func (d *documentBuilder) relaxSchemas() {
	for name, schema := range d.schemas.Map() {
		if schema.AdditionalProperties == false && !d.requests[name] {
			schema.AdditionalProperties = nil
		}
		for _, property := range schema.Properties {
			property.Nullable = false
		}
	}
}

// listProblemCodes adds all problem codes to the schema of a problem.
func (d *documentBuilder) listProblemCodes() {
	code := d.schemas.Map()[schemaName(reflect.TypeFor[problem](), "")].Properties["code"]
	for _, k := range listProblemTypes() {
		code.Enum = append(code.Enum, k.Code)
	}
}

// listStrategies adds the names of the strategies to the requests that name one. Responses can have others, such as those of factors
// that were enrolled before.
func (d *documentBuilder) listStrategies(names []string) {
	for name := range d.requests {
		strategy := d.schemas.Map()[name].Properties["strategy"]
		if strategy == nil {
			continue
		}
		for _, n := range names {
			strategy.Enum = append(strategy.Enum, n)
		}
	}
}

// problemCodes returns the codes of the operation, with those that authorization and idempotency add.
func (o *operation) problemCodes() []string {
	codes := slices.Clone(o.problems)
	if o.scope != "" {
		codes = append(codes, "invalid_request", codeUnauthorized, codeForbidden, "unavailable", codeInternalError)
	}
	if o.method == http.MethodPost {
		codes = append(codes, "idempotency_mismatch", "idempotency_in_flight")
	}
	return codes
}
