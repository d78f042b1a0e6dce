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
	for _, o := range append(challengeOperations(), factorOperations()...) {
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
		if t.Field(n).Type == reflect.TypeFor[clientInfo]() {
			out[name] = newSampleDocument(reflect.TypeFor[clientInfo]())
		}
	}
	return out
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
