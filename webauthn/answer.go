package webauthn

import (
	"github.com/go-json-experiment/json"
	"github.com/go-webauthn/webauthn/protocol"
)

// maxAnswer is how long an answer may be, in bytes: enough for the longest chain of attestation certificates.
const maxAnswer = 64 << 10

// An assertion is AuthenticationResponseJSON (Level 3 §5.1) as far as it is judged. What it says of extensions is not
// read: the one that is asked for (uvm) stands in what the authenticator signs. It is decoded here and not by go-webauthn,
// because that takes a tenth of a check and lets duplicate names and other spellings of them pass.
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
	if a.ID == "" || a.ID != a.RawID || a.Type != string(protocol.PublicKeyCredentialType) {
		return nil, refusedForm
	}
	parsed := &protocol.ParsedCredentialAssertionData{}
	if err := a.decode(parsed); err != nil {
		return nil, refusedForm
	}
	return parsed, nil
}

// decode takes the base64url off, and reads what was under it.
func (a *assertion) decode(out *protocol.ParsedCredentialAssertionData) (err error) {
	raw := &out.Raw.AssertionResponse
	for _, part := range []struct {
		text string
		to   *protocol.URLEncodedBase64
	}{
		{a.RawID, &out.Raw.RawID},
		{a.Response.ClientDataJSON, &raw.ClientDataJSON},
		{a.Response.AuthenticatorData, &raw.AuthenticatorData},
		{a.Response.Signature, &raw.Signature},
		{a.Response.UserHandle, &raw.UserHandle},
	} {
		if *part.to, err = b64.DecodeString(part.text); err != nil {
			return err
		}
	}
	out.ID, out.Type, out.RawID = a.ID, a.Type, out.Raw.RawID
	out.Response.Signature, out.Response.UserHandle = raw.Signature, raw.UserHandle
	if err = json.Unmarshal(raw.ClientDataJSON, &out.Response.CollectedClientData); err != nil {
		return err
	}
	return out.Response.AuthenticatorData.Unmarshal(raw.AuthenticatorData)
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
