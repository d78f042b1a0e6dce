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

// An operation is one line of the API. The same line routes it, guards it, decodes its request and describes it.
type operation struct {
	method, path string
	id, summary  string // of the OpenAPI document
	scope        string // of the keys that may; empty: nobody needs a key
	status       int    // when it went well
	problems     []string
	parameters   []parameter
	in, out      reflect.Type // of request and answer; nil: none
	optional     bool         // the body may be missing, which is the same as {}
	decoder      *decoder
	run          func(ctx context.Context, c *call) (any, error)
}

// A parameter is one of the query or a header.
type parameter struct {
	in, name, description string
	required              bool
	schema                *huma.Schema
}

// Where parameters are, in OpenAPI's words.
const (
	inQuery  = "query"
	inHeader = "header"
)

// A call is one request to an operation, as its function sees it.
type call struct {
	*app
	admin   bool // the key may change factors without a proof
	request *http.Request
	query   map[string]string
	body    []byte
	seed    []byte // of an idempotency key: the same for each request with it; nil: there is none

	reservation *watchword.Reservation // of that key
}

// operationTime bounds how long an operation may take. It does not end when the caller hangs up: what was begun, a try
// charged or a factor's step spent, is brought to its end.
const operationTime = 10 * time.Second

// reading makes an operation without a body.
func reading[Out any](o operation, run func(context.Context, *call) (Out, error)) operation {
	o.out = reflect.TypeFor[Out]()
	o.run = func(ctx context.Context, c *call) (any, error) { return run(ctx, c) }
	return o
}

// doing makes one whose answer is that it was done.
func doing(o operation, run func(context.Context, *call) error) operation {
	o.status = http.StatusNoContent
	o.run = func(ctx context.Context, c *call) (any, error) { return nil, run(ctx, c) }
	return o
}

// taking makes an operation that takes a JSON object.
func taking[In, Out any](o operation, run func(context.Context, *call, *In) (Out, error)) operation {
	o.in, o.out = reflect.TypeFor[In](), reflect.TypeFor[Out]()
	o.decoder = newDecoder(o.in)
	o.run = func(ctx context.Context, c *call) (any, error) {
		in := new(In)
		if err := o.decoder.decode(c.body, in); err != nil {
			return nil, err
		}
		return run(ctx, c, in)
	}
	return o
}

// operate takes a request through an operation: key, query, body, idempotency, and the operation itself.
func (x *exchange) operate(o *operation) {
	c, err := x.admit(o)
	if err != nil {
		x.fail(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.request.Context()), operationTime)
	defer cancel()
	if key, given := x.request.Header[idempotencyHeader]; given && o.method == http.MethodPost {
		x.answer(x.once(ctx, o, c, key))
		return
	}
	x.answer(x.perform(ctx, o, c))
}

// admit reads what every operation needs.
func (x *exchange) admit(o *operation) (*call, error) {
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
	if o.in == nil {
		return c, nil
	}
	if c.body, err = readBody(x, x.request); err != nil {
		return nil, err
	}
	if len(c.body) == 0 && o.optional {
		c.body = []byte("{}")
		return c, nil
	}
	return c, checkContentType(x.request.Header)
}

// perform runs the operation.
func (x *exchange) perform(ctx context.Context, o *operation, c *call) answer {
	out, err := o.run(ctx, c)
	if err != nil {
		return x.refusal(err)
	}
	if o.out == nil {
		return answer{status: o.status}
	}
	// encoding/json, like the receipts that hold the same claims; it is decoding that has to be stricter.
	body, err := json.Marshal(out)
	if err != nil {
		return x.refusal(fmt.Errorf("an answer has no JSON form: %w", err))
	}
	return answer{o.status, body}
}

// readQuery returns the parameters that an operation knows; others, or one that is there twice, are refused.
func readQuery(r *http.Request, known []parameter) (map[string]string, error) {
	if r.URL.RawQuery == "" {
		return nil, nil
	}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, invalid("query", "is not well-formed")
	}
	out := map[string]string{}
	for name, values := range given {
		switch {
		case !slices.ContainsFunc(known, func(p parameter) bool { return p.in == inQuery && p.name == name }):
			return nil, invalid(nameOr(name, "query"), "is not a parameter of this request")
		case len(values) != 1:
			return nil, invalid(name, "is there twice")
		}
		out[name] = values[0]
	}
	return out, nil
}
