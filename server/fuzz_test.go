package server

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// FuzzDecode checks that encoding/json decodes what the decoder accepts to the same value, and that the decoder's errors are
// invalid_request and repeat only names of fields.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"purpose":"sign_in","subject":"user_42","answer":"492039"}`,
		`{"purpose":"sign_in","answer":{"id":"x","response":{"userHandle":null}},"transaction":{"amount":"40.00"},"client":{"known":true,"ip":"::1"}}`,
		`{"purpose":null}`, `{"purpose":"a","to":null,"answer":"1","client":{"ip":null}}`, `{"purpose":"a","answer":"1","transaction":{"a":null}}`, `{"answer":[1]}`, `{"answer":{"a":1,"a":2}}`, `{"Purpose":""}`, `{"purpose":"a"}{}`, `[]`, ``, `{"answer":"\ud800"}`, `{"":{}}`,
	} {
		f.Add(seed)
	}
	d := newDecoder(reflect.TypeFor[checkRequest]())
	f.Fuzz(func(t *testing.T, text string) {
		var got checkRequest
		err := d.decode([]byte(text), &got)
		if err != nil {
			checkDecodeError(t, text, err)
			return
		}
		var plain struct {
			Purpose, Subject, To string
			Answer               json.RawMessage
			Transaction          map[string]string
			Client               struct {
				IP        string
				UserAgent string `json:"user_agent"`
				Known     bool
			}
		}
		if err := json.Unmarshal([]byte(text), &plain); err != nil {
			t.Fatalf("accepts a text that encoding/json rejects: %v", err)
		}
		answer := got.Answer.Text
		if !got.Answer.Object {
			if err := json.Unmarshal(plain.Answer, &answer); err != nil {
				t.Fatalf("the answer: %v", err)
			}
		} else if answer != string(plain.Answer) {
			t.Fatalf("the object %q was decoded as %q", plain.Answer, answer)
		}
		if got.Purpose != plain.Purpose || got.Subject != plain.Subject || got.To != plain.To || answer != got.Answer.Text ||
			!reflect.DeepEqual(got.Transaction, plain.Transaction) || got.Client != clientInfo(plain.Client) {
			t.Fatalf("decoded %+v, encoding/json decoded %+v", got, plain)
		}
	})
}

func checkDecodeError(t *testing.T, text string, err error) {
	t.Helper()
	var known *watchword.Error
	if !errors.As(err, &known) || known.Code != "invalid_request" || len(known.Fields) == 0 {
		t.Fatalf("error %v", err)
	}
	for _, field := range known.Fields {
		if field.Reason == "" || len(field.Field) > maxNameDepth*(maxNameLength+1) {
			t.Fatalf("names %q: %q", field.Field, field.Reason)
		}
		for name := range strings.SplitSeq(field.Field, ".") {
			if !isName(name) {
				t.Fatalf("names %q of %q", field.Field, text)
			}
		}
	}
}
