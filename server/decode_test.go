package server

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// listRequestTypes returns the request types of the API and of the pages' script.
func listRequestTypes() map[string]reflect.Type {
	out := map[string]reflect.Type{"ticket": reflect.TypeFor[ticketRequest](), "token": reflect.TypeFor[tokenRequest](), "confirm": reflect.TypeFor[confirmRequest](), "answer": reflect.TypeFor[answerRequest]()}
	for _, o := range slices.Concat(challengeOperations(), verificationOperations(), factorOperations()) {
		if o.requestType != nil {
			out[o.id] = o.requestType
		}
	}
	return out
}

// newSampleDocument returns a document in which all required fields are "x" and all optional fields, also nested ones, null.
func newSampleDocument(t reflect.Type) map[string]any {
	out := map[string]any{}
	for n := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(n).Tag.Get("json"), ",")
		if options == "" {
			out[name] = "x"
		} else {
			out[name] = nil
		}
		switch t.Field(n).Type {
		case reflect.TypeFor[clientInfo](), reflect.TypeFor[startClientInfo]():
			out[name] = newSampleDocument(t.Field(n).Type)
		case reflect.TypeFor[[]methodRequest]():
			out[name] = []any{newSampleDocument(reflect.TypeFor[methodRequest]())}
		}
	}
	return out
}

func TestDecodeNamesInvalidFieldsOfNestedObjects(t *testing.T) {
	in := reflect.TypeFor[verificationRequest]()
	for body, want := range map[string]string{
		`{"purpose":"mfa","methods":[{"strategy":"otp"},{}]}`:                                      "methods.1.strategy is required",
		`{"purpose":"mfa","methods":[{"strategy":null}]}`:                                          "methods.0.strategy must not be null",
		`{"purpose":"mfa","methods":[null]}`:                                                       "methods.0 must not be null",
		`{"purpose":"mfa","methods":[{"strategy":"otp","channel":7}]}`:                             "methods.0.channel must be a string",
		`{"purpose":"mfa","methods":[{"strategy":"otp","Channel":"sms"}]}`:                         "methods.0.Channel is not a field of this request",
		`{"purpose":"mfa","methods":["otp"]}`:                                                      "methods.0 must be an object",
		`{"purpose":"mfa","methods":{"strategy":"otp"}}`:                                           "methods must be a list",
		`{"purpose":"mfa","methods":null}`:                                                         "methods must not be null",
		`{"purpose":"mfa"}`:                                                                        "methods is required",
		`{"purpose":"mfa","methods":[{"strategy":"otp"}],"fallback":{}}`:                           "fallback.after is required",
		`{"purpose":"mfa","methods":[{"strategy":"otp"}],"fallback":{"after":null}}`:               "fallback.after must not be null",
		`{"purpose":"mfa","methods":[{"strategy":"otp"}],"fallback":{"after":30.5}}`:               "fallback.after must be a whole number",
		`{"purpose":"mfa","methods":[{"strategy":"otp"}],"fallback":30}`:                           "fallback must be an object",
		`{"purpose":"mfa","methods":[{"strategy":"otp","channel":null}],"transaction":{"0":null}}`: "transaction.0 must not be null",
	} {
		err := newDecoder(in).decode([]byte(body), reflect.New(in).Interface())
		var refused *watchword.Error
		if !errors.As(err, &refused) || len(refused.Fields) != 1 || refused.Fields[0].Field+" "+refused.Fields[0].Reason != want {
			t.Errorf("%s: %+v, want %s", body, refused, want)
		}
	}
}

// Brackets in strings are no nesting.
func TestDecodeRejectsDeepNesting(t *testing.T) {
	in := reflect.TypeFor[answerRequest]()
	brackets := strings.Repeat("[", 100)
	deep := func(levels int) string {
		return `{"answer":{"more":` + strings.Repeat(`{"a":[`, levels) + strings.Repeat(`]}`, levels) + `}}`
	}
	for body, want := range map[string]string{
		deep(15):                              "",
		deep(16):                              "answer.more.a.0 is nested too deeply",
		`{"answer":{"a\\":` + brackets:        "answer is nested too deeply",
		`{"answer":{"a":"\\","b":` + brackets: "answer.b.0.0 is nested too deeply",
		`{"answer":"` + brackets + `"}`:       "",
		`{"answer":"\\\"` + brackets + `"}`:   "",
		`{"answer":` + brackets:               "answer must be a string or an object",
		brackets:                              "body must be an object",
		`{"answer":{"a":[` + strings.Repeat(`[],{},`, 50) + `null]}}`: "",
	} {
		err := newDecoder(in).decode([]byte(body), reflect.New(in).Interface())
		got := ""
		var refused *watchword.Error
		if errors.As(err, &refused) {
			got = refused.Fields[0].Field + " " + refused.Fields[0].Reason
		}
		if got != want {
			t.Errorf("%.80s: %q, want %q", body, got, want)
		}
	}
}

func TestDecodeRejectsNullForRequiredFieldsOnly(t *testing.T) {
	for id, in := range listRequestTypes() {
		decode := func(document map[string]any) error {
			text, err := json.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			return newDecoder(in).decode(text, reflect.New(in).Interface())
		}
		if err := decode(newSampleDocument(in)); err != nil {
			t.Errorf("%s: optional fields that are null: %v", id, err)
		}
		for name, value := range newSampleDocument(in) {
			if value != "x" {
				continue
			}
			document := newSampleDocument(in)
			document[name] = nil
			var refused *watchword.Error
			if err := decode(document); !errors.As(err, &refused) || !slices.ContainsFunc(refused.Fields, func(f watchword.FieldError) bool { return f.Field == name }) {
				t.Errorf("%s: %s is null: %v", id, name, err)
			}
		}
	}
}

func TestExamplesOfTheDocumentAreDecoded(t *testing.T) {
	examples := requestExamples()
	for _, o := range slices.Concat(challengeOperations(), verificationOperations(), factorOperations()) {
		example, given := examples[o.id]
		if (o.requestType != nil) != given {
			t.Errorf("%s: example %s", o.id, example)
		}
		if given {
			if err := newDecoder(o.requestType).decode(example, reflect.New(o.requestType).Interface()); err != nil {
				t.Errorf("%s: %v", o.id, err)
			}
		}
		delete(examples, o.id)
	}
	if len(examples) > 0 {
		t.Errorf("examples of no operation: %s", examples)
	}
}
