package server

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/watchword-auth/watchword"
)

// An operation is one entry of the API. Routing, authorization, decoding and the OpenAPI document all use it.
type operation struct {
	method, path              string
	id, summary, description  string // for the OpenAPI document; the description may be empty
	scope                     string // that the API key needs; empty: no key is needed
	status                    int    // of the response without a problem
	problems                  []string
	parameters                []parameter
	requestType, responseType reflect.Type // nil: no body
	optionalBody              bool         // an empty body means {}
	startsChallenge           bool         // the response to an idempotency key is kept as long as the challenge can live
	decoder                   *decoder
	run                       func(ctx context.Context, c *call) (any, error)
}

// A parameter is a query parameter or a header.
type parameter struct {
	in, name, description string
	required              bool
	schema                *huma.Schema
}

// The values of parameter.in, as in OpenAPI.
const (
	inQuery  = "query"
	inHeader = "header"
)

// A call is one authorized request to an operation.
type call struct {
	*app
	admin   bool // the API key may change factors without a proof
	request *http.Request
	query   map[string]string
	body    []byte
	seed    []byte // derived from the idempotency key, the same for each request with that key; nil without a key

	reservation *watchword.Reservation // of the idempotency key; nil without a key
}

// operationTimeout bounds an operation. An operation is not canceled when the caller disconnects: a try that was charged or
// a step that was spent must lead to a result.
const operationTimeout = 10 * time.Second

// newReadOperation returns an operation without a request body.
func newReadOperation[Out any](o operation, run func(context.Context, *call) (Out, error)) operation {
	o.responseType = reflect.TypeFor[Out]()
	o.run = func(ctx context.Context, c *call) (any, error) { return run(ctx, c) }
	return o
}

// newDeleteOperation returns an operation without bodies, which responds with 204.
func newDeleteOperation(o operation, run func(context.Context, *call) error) operation {
	o.status = http.StatusNoContent
	o.run = func(ctx context.Context, c *call) (any, error) { return nil, run(ctx, c) }
	return o
}

// newBodyOperation returns an operation whose request body is a JSON object.
func newBodyOperation[In, Out any](o operation, run func(context.Context, *call, *In) (Out, error)) operation {
	o.requestType, o.responseType = reflect.TypeFor[In](), reflect.TypeFor[Out]()
	o.decoder = newDecoder(o.requestType)
	o.run = func(ctx context.Context, c *call) (any, error) {
		in := new(In)
		if err := o.decoder.decode(c.body, in); err != nil {
			return nil, err
		}
		return run(ctx, c, in)
	}
	return o
}

// serveOperation authorizes and reads a request, runs the operation and sends the response.
func (x *exchange) serveOperation(o *operation) {
	c, err := x.readCall(o)
	if err != nil {
		x.writeProblem(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.request.Context()), operationTimeout)
	defer cancel()
	if key, given := x.request.Header[idempotencyHeader]; given && o.method == http.MethodPost {
		x.writeResponse(x.runOnce(ctx, o, c, key))
		return
	}
	x.writeResponse(x.runOperation(ctx, o, c))
}

// readCall checks the API key and reads query and body.
func (x *exchange) readCall(o *operation) (*call, error) {
	c := &call{request: x.request}
	if o.scope != "" {
		key, err := x.authorize(o.scope)
		if err != nil {
			return nil, err
		}
		c.app, c.admin = key.app, key.scopes[ScopeFactorsAdmin]
	}
	var err error
	if c.query, err = readQuery(x.request, o.parameters); err != nil {
		return nil, err
	}
	if o.requestType == nil {
		return c, nil
	}
	if c.body, err = x.readBody(); err != nil {
		return nil, err
	}
	if len(c.body) == 0 && o.optionalBody {
		c.body = []byte("{}")
		return c, nil
	}
	return c, checkContentType(x.request.Header)
}

// runOperation runs the operation and encodes its result.
func (x *exchange) runOperation(ctx context.Context, o *operation, c *call) response {
	out, err := o.run(ctx, c)
	if err != nil {
		return x.newProblemResponse(err)
	}
	if o.responseType == nil {
		return response{status: o.status}
	}
	// Claims must have the same form as in receipts, which encoding/json writes too.
	body, err := json.Marshal(out)
	if err != nil {
		return x.newProblemResponse(fmt.Errorf("encode response: %w", err))
	}
	return response{o.status, body}
}

// readQuery returns the query parameters. It rejects unknown and repeated ones.
func readQuery(r *http.Request, known []parameter) (map[string]string, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalidField("query", "is not well-formed")
	}
	out := map[string]string{}
	for name, values := range given {
		switch {
		case !slices.ContainsFunc(known, func(p parameter) bool { return p.in == inQuery && p.name == name }):
			return nil, invalidField(nameOrDefault(name, "query"), "is not a parameter of this request")
		case len(values) != 1:
			return nil, invalidField(name, "appears more than once")
		}
		out[name] = values[0]
	}
	return out, nil
}
