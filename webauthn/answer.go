package webauthn

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword"
)

// Limits of an answer, in bytes.
const (
	maxAnswer     = 64 << 10 // fits the longest chain of attestation certificates
	maxID         = 1023     // of a credential id (Level 3 §5.1.3)
	maxUserHandle = 64       // Level 3 §5.4.3
)

// A credential holds the evaluated members of a RegistrationResponseJSON or AuthenticationResponseJSON (Level 3 §5.1). It is
// not parsed by go-webauthn, which accepts duplicate member names and names in another case.
type credential struct {
	ID       base64URLBytes `json:"id"`
	RawID    base64URLBytes `json:"rawId"`
	Type     string         `json:"type"`
	Response response       `json:"response"`
}

// A response is the authenticator's response: with AttestationObject after a registration, with AuthenticatorData and
// Signature after an assertion.
type response struct {
	ClientDataJSON    base64URLBytes `json:"clientDataJSON"`
	AttestationObject base64URLBytes `json:"attestationObject,omitempty"`
	AuthenticatorData base64URLBytes `json:"authenticatorData,omitempty"`
	Signature         base64URLBytes `json:"signature,omitempty"`
	UserHandle        base64URLBytes `json:"userHandle,omitempty"`
	Transports        []string       `json:"transports,omitempty"`
}

// ReadAnswer returns the normalized form of a credential: only the evaluated members, in base64url without padding. The
// error for a malformed credential is watchword.ErrInvalidRequest with the member's name. ReadAnswer reads no store.
func (s *Strategy) ReadAnswer(answer string) (string, error) {
	c, err := readCredential(answer)
	if err != nil {
		return "", err
	}
	if c.isAssertion() {
		_, err = c.parseAssertion()
	} else {
		_, err = c.parseRegistration()
	}
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(c)
	return string(text), err
}

// readCredential parses the answer of either ceremony.
func readCredential(answer string) (*credential, error) {
	if len(answer) > maxAnswer {
		return nil, invalidField(answerField, "is longer than 64 KiB")
	}
	c := &credential{}
	if err := json.Unmarshal([]byte(answer), c); err != nil {
		return nil, translateJSONError(err, answerField, "must be an object")
	}
	return c, c.validate()
}

// validate checks the members that every credential has. It compares id and rawId as bytes, because some password managers
// pad only one of them.
func (c *credential) validate() error {
	const response = answerField + ".response"
	switch {
	case len(c.ID) == 0:
		return invalidField(answerField+".id", reasonRequired)
	case len(c.ID) > maxID:
		return invalidField(answerField+".id", "is longer than 1023 bytes")
	case !bytes.Equal(c.ID, c.RawID):
		return invalidField(answerField+".rawId", "must be the id")
	case c.Type != string(protocol.PublicKeyCredentialType):
		return invalidField(answerField+".type", "must be public-key")
	case len(c.Response.ClientDataJSON) == 0:
		return invalidField(response+".clientDataJSON", reasonRequired)
	case len(c.Response.UserHandle) > maxUserHandle:
		return invalidField(response+".userHandle", "is longer than 64 bytes")
	case c.isAssertion() && len(c.Response.AuthenticatorData) == 0:
		return invalidField(response+".authenticatorData", reasonRequired)
	case !c.isAssertion() && len(c.Response.AttestationObject) == 0:
		return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{
			{Field: response + ".signature", Reason: "is required for a sign-in"},
			{Field: response + ".attestationObject", Reason: "is required for a registration"}}}
	}
	return nil
}

// isAssertion reports whether the credential answers an assertion and not a registration. A registration has its signature,
// if any, in the attestation object.
func (c *credential) isAssertion() bool { return len(c.Response.Signature) > 0 }

// parseClientData parses the client data, which the browser composed and the authenticator signed.
func (c *credential) parseClientData() (out protocol.CollectedClientData, err error) {
	if err := json.Unmarshal(c.Response.ClientDataJSON, &out); err != nil {
		return out, invalidField(answerField+".response.clientDataJSON", "is not the client data of a browser")
	}
	return out, nil
}

// parseAssertion returns the answer of navigator.credentials.get. Client extension outputs are ignored: the one that is
// requested (uvm) is part of the signed authenticator data.
func (c *credential) parseAssertion() (*protocol.ParsedCredentialAssertionData, error) {
	if !c.isAssertion() {
		return nil, refusedType
	}
	client, err := c.parseClientData()
	if err != nil {
		return nil, err
	}
	out := &protocol.ParsedCredentialAssertionData{}
	raw := &out.Raw.AssertionResponse
	raw.ClientDataJSON, raw.AuthenticatorData = protocol.URLEncodedBase64(c.Response.ClientDataJSON), protocol.URLEncodedBase64(c.Response.AuthenticatorData)
	raw.Signature, raw.UserHandle = protocol.URLEncodedBase64(c.Response.Signature), protocol.URLEncodedBase64(c.Response.UserHandle)
	out.ID, out.Type, out.RawID, out.Raw.RawID = b64.EncodeToString(c.ID), c.Type, c.RawID, protocol.URLEncodedBase64(c.RawID)
	out.Response.CollectedClientData, out.Response.Signature, out.Response.UserHandle = client, c.Response.Signature, c.Response.UserHandle
	if err := out.Response.AuthenticatorData.Unmarshal(c.Response.AuthenticatorData); err != nil {
		return nil, invalidField(answerField+".response.authenticatorData", "is not authenticator data")
	}
	return out, nil
}

// parseRegistration returns the answer of navigator.credentials.create.
func (c *credential) parseRegistration() (*protocol.ParsedCredentialCreationData, error) {
	if c.isAssertion() {
		return nil, refusedType
	}
	client, err := c.parseClientData()
	if err != nil {
		return nil, err
	}
	out := &protocol.ParsedCredentialCreationData{}
	out.ID, out.Type, out.RawID = b64.EncodeToString(c.ID), c.Type, c.RawID
	out.Raw.ID, out.Raw.Type, out.Raw.RawID = out.ID, out.Type, protocol.URLEncodedBase64(c.RawID)
	raw := &out.Raw.AttestationResponse
	raw.ClientDataJSON, raw.AttestationObject = protocol.URLEncodedBase64(c.Response.ClientDataJSON), protocol.URLEncodedBase64(c.Response.AttestationObject)
	raw.Transports = c.Response.Transports
	parsed, err := raw.Parse()
	if err != nil {
		return nil, invalidField(answerField+".response.attestationObject", "is not the attestation object of a new key")
	}
	out.Response, out.Response.CollectedClientData = *parsed, client
	return out, nil
}
