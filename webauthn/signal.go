package webauthn

import "github.com/watchword-auth/watchword"

// AcceptedKeys is the argument of PublicKeyCredential.signalAllAcceptedCredentials (Level 3 §5.1.12): after a key was
// removed it lets passkey providers forget it. Only the subject's own page may have it, once the subject is signed in.
type AcceptedKeys struct {
	RPID          string   `json:"rpId"`
	UserID        string   `json:"userId"`
	CredentialIDs []string `json:"allAcceptedCredentialIds"`
}

// AcceptedKeys makes it of what Engine.ListFactors says of the subject.
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

// An UnknownKey is the argument of PublicKeyCredential.signalUnknownCredential: a passkey provider offers the key no more.
type UnknownKey struct {
	RPID         string `json:"rpId"`
	CredentialID string `json:"credentialId"`
}

// UnknownKey reads it from an answer that was refused, with the id of the factor that would keep the key. The page may have
// it only if Engine.GetFactor says ErrUnknownFactor of that id, and only where the challenge named nobody: a wrong answer
// alone does not mean that the key is unknown, and a provider that is told so would hide a good key.
func (s *Strategy) UnknownKey(app, answer string) (factor string, k UnknownKey, ok bool) {
	a, err := readCredential(answer)
	if err != nil {
		return "", UnknownKey{}, false
	}
	return s.factorID(app, a.RawID), UnknownKey{RPID: s.cfg.RPID, CredentialID: b64.EncodeToString(a.RawID)}, true
}
