package webauthn

import "github.com/watchword-auth/watchword"

// AcceptedKeys is the argument of PublicKeyCredential.signalAllAcceptedCredentials (Level 3 §5.1.12). It informs passkey
// providers which keys are still accepted, so that they delete removed ones. Send it only to a page on which the subject is
// signed in.
type AcceptedKeys struct {
	RPID          string   `json:"rpId"`
	UserID        string   `json:"userId"`
	CredentialIDs []string `json:"allAcceptedCredentialIds"`
}

// AcceptedKeys returns the accepted keys of a subject. factors is the result of Engine.ListFactors.
func (s *Strategy) AcceptedKeys(app, subject string, factors []watchword.Factor) AcceptedKeys {
	out := AcceptedKeys{RPID: s.cfg.RPID, UserID: b64.EncodeToString(s.userHandle(app, subject)), CredentialIDs: []string{}}
	for _, f := range factors {
		id, ok := f.Public["credential_id"].(string)
		if ok && !f.Disabled && f.Public["rp_id"] == s.cfg.RPID {
			out.CredentialIDs = append(out.CredentialIDs, id)
		}
	}
	return out
}

// An UnknownKey is the argument of PublicKeyCredential.signalUnknownCredential (Level 3 §5.1.12), after which a passkey
// provider no longer offers the key.
type UnknownKey struct {
	RPID         string `json:"rpId"`
	CredentialID string `json:"credentialId"`
}

// UnknownKey returns the key that a refused answer names, and the id of the factor that would store it; ok is false if the
// answer is malformed. Send k to the page only if the challenge had no subject and Engine.GetFactor returns
// watchword.ErrUnknownFactor for that id. A refused answer alone does not mean that the key is unknown, and after a wrong
// signal a provider would hide a valid key.
func (s *Strategy) UnknownKey(app, answer string) (factor string, k UnknownKey, ok bool) {
	a, err := readCredential(answer)
	if err != nil {
		return "", UnknownKey{}, false
	}
	return s.factorID(app, a.RawID), UnknownKey{RPID: s.cfg.RPID, CredentialID: b64.EncodeToString(a.RawID)}, true
}
