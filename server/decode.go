package server

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// maxBody is the largest request body, in bytes.
const maxBody = 64 << 10

// bodyField is what problems call the request's body as a whole.
const bodyField = "body"

// readBody returns the body of a request that may have one. Whatever is wrong with it is an invalid_request; so that
// nothing is buffered in vain, what says that it is too long is not read. None is empty.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, invalid(bodyField, "is longer than 64 KiB")
	}
	var text []byte
	var err error
	if r.ContentLength >= 0 {
		text = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, text)
	} else {
		text, err = io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	}
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, invalid(bodyField, "is longer than 64 KiB")
	case err != nil:
		return nil, invalid(bodyField, "could not be read to its end")
	}
	return text, nil
}

// checkContentType wants JSON and says so by the header's name. A charset is allowed if it is what JSON has anyway
// (RFC 8259 §8.1).
func checkContentType(h http.Header) error {
	values := h["Content-Type"]
	if len(values) == 1 && values[0] == typeJSON {
		return nil
	}
	if len(values) == 1 {
		media, parameters, err := mime.ParseMediaType(values[0])
		charset, given := parameters["charset"]
		if err == nil && media == typeJSON && (!given && len(parameters) == 0 || len(parameters) == 1 && strings.EqualFold(charset, "utf-8")) {
			return nil
		}
	}
	return invalid("Content-Type", "must be application/json")
}

// A decoder reads requests into values of one type, strictly: exactly one document of valid UTF-8, no name twice, none
// that is unknown or spelled in another case, and no value of another type. Fields of the type that are not omitted when
// they are zero are required; null for one of the others is the same as leaving it out, and anywhere else it is refused.
type decoder struct {
	required []requiredField
	optional map[jsontext.Pointer]bool // fields that may be null, nested ones too
	options  json.Options
}

type requiredField struct {
	index int
	name  string
}

// errNull is what the decoder says of null, wherever a value is expected.
var errNull = reason("must not be null")

func newDecoder(t reflect.Type) *decoder {
	d := &decoder{optional: map[jsontext.Pointer]bool{}}
	d.addOptional(t, "")
	for n := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
		if options == "" {
			d.required = append(d.required, requiredField{n, name})
		}
	}
	refuseNull := json.UnmarshalFromFunc(func(dec *jsontext.Decoder, _ any) error {
		switch {
		case dec.PeekKind() != 'n':
			return errors.ErrUnsupported // everything else goes its usual way
		case d.optional[dec.StackPointer()]:
			return dec.SkipValue()
		}
		return errNull
	})
	d.options = json.JoinOptions(json.RejectUnknownMembers(true), json.WithUnmarshalers(refuseNull))
	return d
}

// addOptional notes the fields of a type, which is found at a place in the document, that may be left out.
func (d *decoder) addOptional(t reflect.Type, at jsontext.Pointer) {
	for n := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
		place := at.AppendToken(name)
		d.optional[place] = options != ""
		if field := t.Field(n).Type; field.Kind() == reflect.Struct && name != "" {
			d.addOptional(field, place)
		}
	}
}

// decode fills into, a pointer to a value of the decoder's type.
func (d *decoder) decode(text []byte, into any) error {
	if err := json.Unmarshal(text, into, d.options); err != nil {
		return explain(err)
	}
	var missing []string
	v := reflect.ValueOf(into).Elem()
	for _, f := range d.required {
		if v.Field(f.index).IsZero() {
			missing = append(missing, f.name)
		}
	}
	if len(missing) > 0 {
		return invalidAll(missing, "is required")
	}
	return nil
}

// A reason is an error of a type's own decoding, in words that may go to the caller.
type reason string

func (r reason) Error() string { return string(r) }

// explain says which field a decoding error is about, and what is wrong there. The library's own words may quote the
// value, so none of them is used.
func explain(err error) error {
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	var own reason
	switch {
	case errors.As(err, &syntax):
		return invalid(fieldAt(syntax.JSONPointer), syntaxReason(syntax))
	case !errors.As(err, &semantic):
		return invalid(bodyField, "is not a JSON document")
	case errors.As(err, &own):
		return invalid(fieldAt(semantic.JSONPointer), string(own))
	case errors.Is(err, json.ErrUnknownName):
		return invalid(fieldAt(semantic.JSONPointer), "is not a field of this request")
	}
	return invalid(fieldAt(semantic.JSONPointer), "must be "+typeName(semantic.GoType))
}

func syntaxReason(err *jsontext.SyntacticError) string {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "is there twice"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "is not complete JSON"
	}
	return "is not well-formed JSON"
}

func typeName(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "an object"
}

// deepest bounds how many names of nested fields are repeated. No request is deeper, but an answer's object may be.
const deepest = 4

// fieldAt names a field as the contract does, client.ip say. Names that callers made up are repeated only as far as they look
// like names; what encloses them is named then.
func fieldAt(pointer jsontext.Pointer) string {
	var names []string
	for name := range pointer.Tokens() {
		if !isName(name) || len(names) == deepest {
			break
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return bodyField
	}
	return strings.Join(names, ".")
}

// longestName bounds the names that are repeated.
const longestName = 40

// nameOr is a name that a caller made up, if it looks like one.
func nameOr(name, otherwise string) string {
	if isName(name) {
		return name
	}
	return otherwise
}

func isName(text string) bool {
	if len(text) > longestName {
		return false
	}
	for _, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return text != ""
}
