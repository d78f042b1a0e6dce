package webauthn

import (
	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/protocol"
)

// maxAnswer is how long an answer may be, in bytes: enough for the longest chain of attestation certificates.
const maxAnswer = 64 << 10

// An assertion is AuthenticationResponseJSON (Level 3 §5.1) as far as it is judged. What it says of extensions is not
// read: the one that is asked for (uvm) stands in what the authenticator signs. It is decoded here and not by go-webauthn because that would be a tenth of a check.
type assertion struct {
	ID       string `json:"id"`
	RawID    string `json:"rawId"`
	Type     string `json:"type"`
	Response struct {
		ClientDataJSON    string `json:"clientDataJSON"`
		AuthenticatorData string `json:"authenticatorData"`
		Signature         string `json:"signature"`
		UserHandle        string `json:"userHandle"`
	} `json:"response"`
}

// parseAssertion reads the answer of navigator.credentials.get.
func parseAssertion(answer string) (*protocol.ParsedCredentialAssertionData, error) {
	if len(answer) > maxAnswer {
		return nil, refusedTooLong
	}
	var a assertion
	if err := json.Unmarshal([]byte(answer), &a); err != nil {
		return nil, refusedForm
	}
	raw, err := a.decode()
	if err != nil {
		return nil, refusedForm
	}
	parsed, err := raw.Parse()
	if err != nil {
		return nil, refusedForm
	}
	return parsed, nil
}

// decode takes the base64url off.
func (a *assertion) decode() (out protocol.CredentialAssertionResponse, err error) {
	out.ID, out.Type = a.ID, a.Type
	for _, part := range []struct {
		text string
		to   *protocol.URLEncodedBase64
	}{
		{a.RawID, &out.RawID},
		{a.Response.ClientDataJSON, &out.AssertionResponse.ClientDataJSON},
		{a.Response.AuthenticatorData, &out.AssertionResponse.AuthenticatorData},
		{a.Response.Signature, &out.AssertionResponse.Signature},
		{a.Response.UserHandle, &out.AssertionResponse.UserHandle},
	} {
		if *part.to, err = b64.DecodeString(part.text); err != nil {
			return out, err
		}
	}
	return out, nil
}

// parseRegistration reads RegistrationResponseJSON (Level 3 §5.1), the answer of navigator.credentials.create.
func parseRegistration(answer string) (*protocol.ParsedCredentialCreationData, error) {
	if len(answer) > maxAnswer {
		return nil, refusedTooLong
	}
	r, err := protocol.ParseCredentialCreationResponseBytes([]byte(answer))
	if err != nil {
		return nil, refusedForm
	}
	return r, nil
}
