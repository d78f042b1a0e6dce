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

const reasonRequired = "is required"

// invalidField refuses a member of an answer, in words that may go to the caller.
func invalidField(field, reason string) error {
	return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: field, Reason: reason}}}
}

// translateJSONError keeps what a member's own decoding says, and names what else is wrong with a value. The library's own words may
// quote the value, so none of them is used.
func translateJSONError(err error, field, reason string) error {
	var known *watchword.Error
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, jsontext.ErrDuplicateName):
		return invalidField(field, "is there twice")
	case errors.As(err, new(*jsontext.SyntacticError)):
		return invalidField(field, "is not well-formed JSON")
	}
	return invalidField(field, reason)
}

// A member is one that Level 3 names. Those without a place to go to are not evaluated and may hold anything.
type member struct {
	target any
	reason string // why a value is refused
}

const (
	reasonNotBase64URL = "must be base64url"
	reasonNotString    = "must be a string"
)

// UnmarshalJSONFrom reads the members by their exact names.
func (c *credential) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMembers(d, answerField, map[string]member{
		"id": {&c.ID, reasonNotBase64URL}, "rawId": {&c.RawID, reasonNotBase64URL}, "type": {&c.Type, reasonNotString}, "response": {&c.Response, "must be an object"},
		"authenticatorAttachment": {}, "clientExtensionResults": {},
	})
}

// UnmarshalJSONFrom reads the members by their exact names.
func (r *response) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMembers(d, answerField+".response", map[string]member{
		"clientDataJSON": {&r.ClientDataJSON, reasonNotBase64URL}, "attestationObject": {&r.AttestationObject, reasonNotBase64URL},
		"authenticatorData": {&r.AuthenticatorData, reasonNotBase64URL}, "signature": {&r.Signature, reasonNotBase64URL},
		"userHandle": {&r.UserHandle, reasonNotBase64URL}, "transports": {&r.Transports, "must be a list of strings"},
		"publicKey": {}, "publicKeyAlgorithm": {},
	})
}

// readMembers reads an object. Browsers and password managers add members of their own, which are skipped; but a name in
// other capitals is a mistake of whoever wrote it, and refused.
func readMembers(d *jsontext.Decoder, at string, members map[string]member) error {
	if d.PeekKind() != '{' {
		return invalidField(at, "must be an object")
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
		return translateMemberError(err, at, members)
	}
	return nil
}

// translateMemberError names the member that an error is about, if it is one that Level 3 names.
func translateMemberError(err error, at string, members map[string]member) error {
	var syntax *jsontext.SyntacticError
	if errors.As(err, &syntax) {
		if name := syntax.JSONPointer.LastToken(); members[name].reason != "" {
			at += "." + name
		}
	}
	return translateJSONError(err, at, "")
}

func readMember(d *jsontext.Decoder, at, name string, members map[string]member) error {
	m, known := members[name]
	if known && m.target != nil {
		if err := json.UnmarshalDecode(d, m.target); err != nil {
			return translateJSONError(err, at+"."+name, m.reason)
		}
		return nil
	}
	if !known {
		for right := range members {
			if strings.EqualFold(name, right) {
				return invalidField(at+"."+right, "is written in other capitals")
			}
		}
	}
	return d.SkipValue()
}

// base64URLBytes are bytes in base64url, with or without padding; null is none.
type base64URLBytes []byte

// strictBase64 refuses bits that stand for nothing, so that bytes have one spelling but for the padding.
var strictBase64 = base64.RawURLEncoding.Strict()

// errNotBase64URL is the error of every string that is not base64url.
var errNotBase64URL = errors.New("webauthn: not base64url")

// UnmarshalJSONFrom reads a string or null.
func (o *base64URLBytes) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	token, err := d.ReadToken()
	if err != nil || token.Kind() == 'n' {
		return err
	}
	if token.Kind() != '"' {
		return errNotBase64URL
	}
	text := token.String()
	if whole := strings.TrimRight(text, "="); len(whole) < len(text) {
		if len(text)%4 != 0 || len(text)-len(whole) > 2 {
			return errNotBase64URL
		}
		text = whole
	}
	if strings.ContainsAny(text, "\r\n") { // which the decoder would skip
		return errNotBase64URL
	}
	*o, err = strictBase64.DecodeString(text)
	return err
}

// MarshalJSONTo writes them without padding.
func (o base64URLBytes) MarshalJSONTo(e *jsontext.Encoder) error {
	return e.WriteToken(jsontext.String(b64.EncodeToString(o)))
}
