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

// apiVersion is the contract's, in the document and the paths.
const apiVersion = "1"

// keyScheme is the document's name for API keys.
const keyScheme = "key"

// schemasPath is where the document's schemas are.
const schemasPath = "#/components/schemas/"

// describeAPI makes the OpenAPI 3.1 document of the operations.
func describeAPI(operations []operation, publicURL string) ([]byte, error) {
	d := describer{known: kinds(), requests: map[string]bool{}, schemas: huma.NewMapRegistry(schemasPath, schemaName)}
	doc := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "watchword", Version: apiVersion,
			Description: "Have somebody prove something, and get a receipt for it. Requests are read strictly: names that are unknown, twice or in another case and values of another type are refused. null for a field that may be left out is the same as leaving it out."},
		Servers: []*huma.Server{{URL: publicURL}},
		Components: &huma.Components{Schemas: d.schemas, SecuritySchemes: map[string]*huma.SecurityScheme{
			keyScheme: {Type: "http", Scheme: "bearer", Description: "A key of the app, with the scopes that an operation names."}}},
	}
	for n := range operations {
		doc.AddOperation(d.operation(&operations[n]))
	}
	d.nameCodes()
	d.describeAnswers()
	text, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("marshal: %w", err)
	}
	return text, nil
}

// describer turns operations into the document's.
type describer struct {
	known    map[string]kind
	schemas  huma.Registry
	requests map[string]bool // the schemas that are parts of requests
}

// schemaName is a type's name without what tells requests and views apart only here.
func schemaName(t reflect.Type, hint string) string {
	name := huma.DefaultSchemaNamer(t, hint)
	for _, suffix := range []string{"View", "Field"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

func (d *describer) operation(o *operation) *huma.Operation {
	out := &huma.Operation{Method: o.method, Path: o.path, OperationID: o.id, Summary: o.summary, Parameters: d.parameters(o),
		Responses: d.responses(o)}
	if o.scope != "" {
		out.Security = []map[string][]string{{keyScheme: {o.scope}}}
	}
	if o.in != nil {
		out.RequestBody = &huma.RequestBody{Required: !o.optional, Content: d.content(typeJSON, o.in)}
		d.allowNulls(o.in)
	}
	return out
}

func (d *describer) parameters(o *operation) (out []*huma.Param) {
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
			Description: "The same key with the same body gets the first answer again, and nothing is done twice.",
			Schema:      &huma.Schema{Type: huma.TypeString, Pattern: "^[!-~]{1," + strconv.Itoa(longestKey) + "}$"}})
	}
	return out
}

// responses are the good answer and, by status, the problems.
func (d *describer) responses(o *operation) map[string]*huma.Response {
	out := map[string]*huma.Response{strconv.Itoa(o.status): {Description: http.StatusText(o.status), Content: d.content(typeJSON, o.out)}}
	byStatus := map[int][]string{}
	for _, code := range o.allProblems() {
		status := d.known[code].Status
		byStatus[status] = append(byStatus[status], code)
	}
	for status, codes := range byStatus {
		slices.Sort(codes)
		r := &huma.Response{Description: strings.Join(codes, ", "), Content: d.content(typeProblem, reflect.TypeFor[problem]())}
		if status == http.StatusTooManyRequests {
			r.Headers = map[string]*huma.Param{"Retry-After": {Description: "Seconds.", Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: new(1.0)}}}
		}
		out[strconv.Itoa(status)] = r
	}
	return out
}

func (d *describer) content(contentType string, t reflect.Type) map[string]*huma.MediaType {
	if t == nil {
		return nil
	}
	return map[string]*huma.MediaType{contentType: {Schema: d.schemas.Schema(t, true, t.Name())}}
}

// allowNulls says of the fields of a request that may be left out that they may be null too.
func (d *describer) allowNulls(request reflect.Type) {
	name := schemaName(request, "")
	d.requests[name] = true
	properties := d.schemas.Map()[name].Properties
	for n := range request.NumField() {
		field := request.Field(n)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		schema := properties[name]
		switch {
		case options == "":
		case schema.Ref != "":
			d.allowNulls(field.Type)
			properties[name] = &huma.Schema{Description: schema.Description, AnyOf: []*huma.Schema{{Ref: schema.Ref}, {Type: "null"}}}
		default:
			schema.Nullable = true
		}
	}
}

// describeAnswers says of answers what huma says of requests only: fields may be added, which clients ignore, and what is
// empty is left out, so nothing is null.
func (d *describer) describeAnswers() {
	for name, schema := range d.schemas.Map() {
		if d.requests[name] {
			continue
		}
		if schema.AdditionalProperties == false {
			schema.AdditionalProperties = nil
		}
		for _, property := range schema.Properties {
			property.Nullable = false
		}
	}
}

// nameCodes lists what a problem's code can be.
func (d *describer) nameCodes() {
	code := d.schemas.Map()[schemaName(reflect.TypeFor[problem](), "")].Properties["code"]
	for _, k := range catalogue() {
		code.Enum = append(code.Enum, k.Code)
	}
}

// allProblems are the operation's own and those that its shape brings with it.
func (o *operation) allProblems() []string {
	codes := slices.Clone(o.problems)
	if o.scope != "" {
		codes = append(codes, "invalid_request", codeUnauthorized, codeForbidden, "unavailable", codeInternalError)
	}
	if o.method == http.MethodPost {
		codes = append(codes, "idempotency_mismatch", "idempotency_in_flight")
	}
	return codes
}
