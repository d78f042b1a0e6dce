package webauthn

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchword-auth/watchword"
)

// answerField is what requests call the answer; members of it follow after a dot.
const answerField = "answer"

const required = "is required"

// invalid refuses a member of an answer, in words that may go to the caller.
func invalid(field, reason string) error {
	return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: field, Reason: reason}}}
}

// explain keeps what a member's own decoding says, and names what else is wrong with a value. The library's own words may
// quote the value, so none of them is used.
func explain(err error, field, reason string) error {
	var known *watchword.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, jsontext.ErrDuplicateName):
		return invalid(field, "is there twice")
	case errors.As(err, new(*jsontext.SyntacticError)):
		return invalid(field, "is not well-formed JSON")
	}
	return invalid(field, reason)
}

// A member is one that Level 3 names. Those without a place to go to are not evaluated and may hold anything.
type member struct {
	into   any
	reason string // why a value is refused
}

const (
	notOctets = "must be base64url"
	notText   = "must be a string"
)

// UnmarshalJSONFrom reads the members by their exact names.
func (c *credential) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMembers(d, answerField, map[string]member{
		"id": {&c.ID, notOctets}, "rawId": {&c.RawID, notOctets}, "type": {&c.Type, notText}, "response": {&c.Response, "must be an object"},
		"authenticatorAttachment": {}, "clientExtensionResults": {},
	})
}

// UnmarshalJSONFrom reads the members by their exact names.
func (r *response) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMembers(d, answerField+".response", map[string]member{
		"clientDataJSON": {&r.ClientDataJSON, notOctets}, "attestationObject": {&r.AttestationObject, notOctets},
		"authenticatorData": {&r.AuthenticatorData, notOctets}, "signature": {&r.Signature, notOctets},
		"userHandle": {&r.UserHandle, notOctets}, "transports": {&r.Transports, "must be a list of strings"},
		"publicKey": {}, "publicKeyAlgorithm": {},
	})
}

// readMembers reads an object. Browsers and password managers add members of their own, which are skipped; but a name in
// other capitals is a mistake of whoever wrote it, and refused.
func readMembers(d *jsontext.Decoder, at string, members map[string]member) error {
	if d.PeekKind() != '{' {
		return invalid(at, "must be an object")
	}
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() != '}' {
		var name jsontext.Token
		if name, err = d.ReadToken(); err == nil {
			err = readMember(d, at, name.String(), members)
		}
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	if err != nil {
		return explainMember(err, at, members)
	}
	return nil
}

// explainMember names the member that an error is about, if it is one that Level 3 names.
func explainMember(err error, at string, members map[string]member) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		if name := syntax.JSONPointer.LastToken(); members[name].reason != "" {
			at += "." + name
		}
	}
	return explain(err, at, "")
}

func readMember(d *jsontext.Decoder, at, name string, members map[string]member) error {
	m, known := members[name]
	if known && m.into != nil {
		if err := json.UnmarshalDecode(d, m.into); err != nil {
			return explain(err, at+"."+name, m.reason)
		}
		return nil
	}
	if !known {
		for right := range members {
			if strings.EqualFold(name, right) {
				return invalid(at+"."+right, "is written in other capitals")
			}
		}
	}
	return d.SkipValue()
}

// octets are bytes in base64url, with or without padding; null is none.
type octets []byte

// strict64 refuses bits that stand for nothing, so that bytes have one spelling but for the padding.
var strict64 = base64.RawURLEncoding.Strict()

// errOctets is the error of every string that is not base64url.
var errOctets = errors.New("webauthn: not base64url")

// UnmarshalJSONFrom reads a string or null.
func (o *octets) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err != nil || token.Kind() == 'n' {
		return err
	}
	if token.Kind() != '"' {
		return errOctets
	}
	text := token.String()
	if whole := strings.TrimRight(text, "="); len(whole) < len(text) {
		if len(text)%4 != 0 || len(text)-len(whole) > 2 {
			return errOctets
		}
		text = whole
	}
	if strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return errOctets
	}
	*o, err = strict64.DecodeString(text)
	return err
}

// MarshalJSONTo writes them without padding.
func (o octets) MarshalJSONTo(e *jsontext.Encoder) error {
	return e.WriteToken(jsontext.String(b64.EncodeToString(o)))
}
