package webauthn

import (
	"encoding/base64"
	"errors"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchword-auth/watchword"
)

// answerField is the name of the answer in requests; its members follow after a dot.
const answerField = "answer"

const reasonRequired = "is required"

// invalidField returns a watchword.ErrInvalidRequest for a member of an answer. The caller sees the reason.
func invalidField(field, reason string) error {
	return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: field, Reason: reason}}}
}

// translateJSONError returns a *watchword.Error as it is, and an invalidField for any other error of the JSON library. The
// library's text is dropped, because it may quote the value.
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

// A member is a JSON member that Level 3 defines. A member without target is not evaluated and may have any value.
type member struct {
	target any
	reason string // for a value of the wrong type
}

const (
	reasonNotBase64URL = "must be base64url"
	reasonNotString    = "must be a string"
)

// UnmarshalJSONFrom reads the members, whose names must match exactly.
func (c *credential) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMembers(d, answerField, map[string]member{
		"id": {&c.ID, reasonNotBase64URL}, "rawId": {&c.RawID, reasonNotBase64URL}, "type": {&c.Type, reasonNotString}, "response": {&c.Response, "must be an object"},
		"authenticatorAttachment": {}, "clientExtensionResults": {},
	})
}

// UnmarshalJSONFrom reads the members, whose names must match exactly.
func (r *response) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return readMembers(d, answerField+".response", map[string]member{
		"clientDataJSON": {&r.ClientDataJSON, reasonNotBase64URL}, "attestationObject": {&r.AttestationObject, reasonNotBase64URL},
		"authenticatorData": {&r.AuthenticatorData, reasonNotBase64URL}, "signature": {&r.Signature, reasonNotBase64URL},
		"userHandle": {&r.UserHandle, reasonNotBase64URL}, "transports": {&r.Transports, "must be a list of strings"},
		"publicKey": {}, "publicKeyAlgorithm": {},
	})
}

// readMembers reads an object. Unknown members, which browsers and password managers add, are skipped. A known name in
// another case is refused, because other parsers would accept it.
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

// translateMemberError translates an error in an object and names the member, if Level 3 defines it.
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

// base64URLBytes are encoded as base64url, with or without padding; null means no bytes.
type base64URLBytes []byte

// strictBase64 refuses non-zero trailing bits, so that bytes have one encoding apart from the padding.
var strictBase64 = base64.RawURLEncoding.Strict()

// errNotBase64URL means that a string is not base64url.
var errNotBase64URL = errors.New("webauthn: not base64url")

// UnmarshalJSONFrom reads a base64url string or null.
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
	if strings.ContainsAny(text, "\r\n") { // the decoder would skip them
		return errNotBase64URL
	}
	*o, err = strictBase64.DecodeString(text)
	return err
}

// MarshalJSONTo writes base64url without padding.
func (o base64URLBytes) MarshalJSONTo(e *jsontext.Encoder) error {
	return e.WriteToken(jsontext.String(b64.EncodeToString(o)))
}
