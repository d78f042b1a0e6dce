package client_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/client"
)

// The types have the fields of the server's OpenAPI document, and no others.
func TestTypesHaveTheFieldsOfTheDocument(t *testing.T) {
	t.Parallel()
	s, _ := startTestServer(t)
	res, err := http.Get(s.url + "/openapi.json")
	must(t, err)
	defer func() { _ = res.Body.Close() }()
	var document struct {
		Components struct {
			Schemas map[string]struct {
				Properties map[string]json.RawMessage
			}
		}
	}
	must(t, json.NewDecoder(res.Body).Decode(&document))
	for _, c := range []struct {
		typ     any
		schemas []string // whose fields the type has together
	}{
		{client.StartRequest{}, []string{"StartRequest"}}, {client.StartClientInfo{}, []string{"StartClientInfo"}}, {client.ClientInfo{}, []string{"ClientInfo"}},
		{client.CheckRequest{}, []string{"CheckRequest", "VerificationCheckRequest"}}, {client.RedeemRequest{}, []string{"RedeemRequest"}},
		{client.VerificationRequest{}, []string{"VerificationRequest"}}, {client.MethodRequest{}, []string{"MethodRequest"}}, {client.FallbackRequest{}, []string{"FallbackRequest"}},
		{client.Challenge{}, []string{"Challenge"}}, {client.Delivery{}, []string{"Delivery"}},
		{client.StartedChallenge{}, []string{"StartedCode", "StartedLink", "StartedKey", "StartedNewKey", "StartedScan"}}, {client.OpenChallenge{}, []string{"OpenCode", "OpenLink", "OpenKey"}},
		{client.Verification{}, []string{"Verification"}}, {client.VerificationStatus{}, []string{"VerificationStatus"}}, {client.OpenedVerification{}, []string{"Opened"}}, {client.Method{}, []string{"Method"}}, {client.Fallback{}, []string{"Fallback"}},
		{client.StartedVerification{}, []string{"PendingVerification", "ApprovedVerification"}}, {client.Factor{}, []string{"Factor"}},
		{client.Public{}, []string{"PublicCode", "PublicLink", "PublicScan"}}, {watchword.Claims{}, []string{"Claims"}},
	} {
		var want []string
		for _, name := range c.schemas {
			schema, ok := document.Components.Schemas[name]
			if !ok {
				t.Errorf("the document has no schema %s", name)
			}
			for property := range schema.Properties {
				want = append(want, property)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if got := listFields(reflect.TypeOf(c.typ)); !slices.Equal(got, want) {
			t.Errorf("%T has the fields %v, the document %v", c.typ, got, want)
		}
	}
	for name, property := range document.Components.Schemas["Claims"].Properties {
		var described struct{ Description string }
		if must(t, json.Unmarshal(property, &described)); described.Description == "" {
			t.Errorf("the document does not describe the claim %s", name)
		}
	}
	approval := listFields(reflect.TypeFor[client.Approval]())
	for _, name := range []string{"Approved", "Verified"} {
		for property := range document.Components.Schemas[name].Properties {
			if property != "status" && !slices.Contains(approval, property) { // a 200 is always approved
				t.Errorf("client.Approval has no %s", property)
			}
		}
	}
}

// listFields returns the sorted JSON names of a struct's fields.
func listFields(typ reflect.Type) (out []string) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous:
			out = append(out, listFields(field.Type)...)
		case name != "" && name != "-":
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
