package server

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// A decoder decodes requests into values of one type, strictly: exactly one document of valid UTF-8, without repeated names,
// unknown names, names in another case, or values of another type. Fields without the option omitzero are required. For
// optional fields null equals omission; everywhere else null is an error.
type decoder struct {
	required requiredFields
	optional map[jsontext.Pointer]bool // fields that may be null, nested ones too; anyElement stands for the index of a list
	options  json.Options
	anyNull  json.Options // options for a document that may contain null, which cost as much as the decoding
}

// requiredFields are the required fields of an object, and those of the objects in its lists and behind its pointers.
type requiredFields struct {
	fields []requiredField
	nested []nestedFields
}

type requiredField struct {
	index int
	name  string
}

type nestedFields struct {
	requiredField
	object requiredFields
}

// anyElement stands for the index of a list in a pointer.
const anyElement = "-"

// errNull is the reason for null where a value is required.
var errNull = decodeReason("must not be null")

func newDecoder(t reflect.Type) *decoder {
	d := &decoder{required: newRequiredFields(t), optional: map[jsontext.Pointer]bool{}}
	d.addOptionalFields(t, "")
	rejectNull := json.UnmarshalFromFunc(func(dec *jsontext.Decoder, _ any) error {
		switch {
		case dec.PeekKind() != 'n':
			return errors.ErrUnsupported // decode as usual
		case d.optional[withoutIndexes(dec.StackPointer())]:
			return dec.SkipValue()
		}
		return errNull
	})
	d.options = json.RejectUnknownMembers(true)
	d.anyNull = json.JoinOptions(d.options, json.WithUnmarshalers(rejectNull))
	return d
}

// addOptionalFields adds the optional fields of a type that stands at the given position of the document.
func (d *decoder) addOptionalFields(t reflect.Type, parent jsontext.Pointer) {
	for n := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
		field := parent.AppendToken(name)
		d.optional[field] = options != ""
		switch nested := t.Field(n).Type; {
		case nested.Kind() == reflect.Struct && name != "":
			d.addOptionalFields(nested, field)
		case isListOfObjects(nested):
			d.addOptionalFields(nested.Elem(), field.AppendToken(anyElement))
		}
	}
}

// newRequiredFields panics if a required field is a bool: one that is false would count as missing. It must be a pointer.
func newRequiredFields(t reflect.Type) (out requiredFields) {
	for n := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
		if options == "" {
			if t.Field(n).Type.Kind() == reflect.Bool {
				panic("server: the required field " + name + " must be a pointer")
			}
			out.fields = append(out.fields, requiredField{n, name})
		}
		if nested := t.Field(n).Type; isListOfObjects(nested) || isPointerToObject(nested) {
			out.nested = append(out.nested, nestedFields{requiredField{n, name}, newRequiredFields(nested.Elem())})
		}
	}
	return out
}

func isListOfObjects(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct
}

func isPointerToObject(t reflect.Type) bool {
	return t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

// withoutIndexes returns a pointer with anyElement for each number in it. No field has a number as its name.
func withoutIndexes(pointer jsontext.Pointer) (out jsontext.Pointer) {
	for token := range pointer.Tokens() {
		if strings.Trim(token, "0123456789") == "" {
			token = anyElement
		}
		out = out.AppendToken(token)
	}
	return out
}

// decode decodes text into a value of the decoder's type, to which into points.
func (d *decoder) decode(text []byte, into any) error {
	options := d.options
	if bytes.Contains(text, []byte("null")) { // JSON has no other spelling of it (RFC 8259 §3)
		options = d.anyNull
	}
	shallow := cutDeepNesting(text)
	if err := json.Unmarshal(shallow, into, options); err != nil {
		var incomplete *jsontext.SyntacticError
		if len(shallow) < len(text) && errors.As(err, &incomplete) && errors.Is(err, io.ErrUnexpectedEOF) {
			return invalidField(fieldName(incomplete.JSONPointer), "is nested too deeply")
		}
		return describeDecodeError(err)
	}
	if missing := d.required.findMissing(reflect.ValueOf(into).Elem(), ""); len(missing) > 0 {
		return invalidFields(missing, "is required")
	}
	return nil
}

// findMissing returns the names of the required fields that an object does not have. The prefix is that of its own name.
func (r requiredFields) findMissing(v reflect.Value, prefix string) (missing []string) {
	for _, f := range r.fields {
		if v.Field(f.index).IsZero() {
			missing = append(missing, prefix+f.name)
		}
	}
	for _, nested := range r.nested {
		field, name := v.Field(nested.index), prefix+nested.name+"."
		switch {
		case field.Kind() == reflect.Slice:
			for n := range field.Len() {
				missing = append(missing, nested.object.findMissing(field.Index(n), name+strconv.Itoa(n)+".")...)
			}
		case !field.IsNil():
			missing = append(missing, nested.object.findMissing(field.Elem(), name)...)
		}
	}
	return missing
}

// A decodeReason is an error of a type's own decoding method whose text may be sent to the caller.
type decodeReason string

// Error is the reason that the problem names.
func (r decodeReason) Error() string { return string(r) }

// describeDecodeError returns an invalid_request error with the field and the reason of a decoding error. It does not use the
// library's texts, which may contain the value.
func describeDecodeError(err error) error {
	var syntax *jsontext.SyntacticError
	var semantic *json.SemanticError
	var own decodeReason
	switch {
	case errors.As(err, &syntax):
		return invalidField(fieldName(syntax.JSONPointer), describeSyntaxError(syntax))
	case !errors.As(err, &semantic):
		return invalidField(bodyField, "is not a JSON document")
	case errors.As(err, &own):
		return invalidField(fieldName(semantic.JSONPointer), string(own))
	case errors.Is(err, json.ErrUnknownName):
		return invalidField(fieldName(semantic.JSONPointer), "is not a field of this request")
	}
	return invalidField(fieldName(semantic.JSONPointer), "must be "+describeType(semantic.GoType))
}

func describeSyntaxError(err *jsontext.SyntacticError) string {
	switch {
	case errors.Is(err, jsontext.ErrDuplicateName):
		return "appears more than once"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "is not complete JSON"
	}
	return "is not well-formed JSON"
}

func describeType(t reflect.Type) string {
	if t == nil {
		return "of another type"
	}
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Int:
		return "a whole number"
	}
	return "an object"
}

// maxNameDepth is the maximum number of names in the name of a nested field. No request type is deeper, but a credential
// may be. The index of a list's element counts as a name.
const maxNameDepth = 4

// fieldName returns the name of a field as in the API, for example client.ip. It stops before a name that isName rejects, so
// that the response repeats no arbitrary input.
func fieldName(pointer jsontext.Pointer) string {
	var names []string
	for name := range pointer.Tokens() {
		if !isName(name) || len(names) == maxNameDepth {
			break
		}
		names = append(names, name)
	}
	if len(names) == 0 {
		return bodyField
	}
	return strings.Join(names, ".")
}

// maxNameLength is the maximum length of a name in a response, in bytes.
const maxNameLength = 40

// nameOrDefault returns a name from a request if isName accepts it, otherwise the default.
func nameOrDefault(name, defaultName string) string {
	if isName(name) {
		return name
	}
	return defaultName
}

// isName reports whether a text from a request has the form of a field name.
func isName(text string) bool {
	if len(text) > maxNameLength {
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
