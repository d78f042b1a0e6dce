package webauthn

import (
	"context"

	"github.com/watchword-auth/watchword"
)

// newProof returns the proof of an accepted assertion. Proof.Spend is the factor with the updated key.
func (s *Strategy) newProof(c *watchword.Challenge, f watchword.Factor, k *key, u assertionResult) (watchword.Proof, error) {
	if err := k.writeTo(&f); err != nil {
		return watchword.Proof{}, err
	}
	extra := map[string]any{"user_verified": u.userVerified, "backup_eligible": k.BackupEligible, "backed_up": k.BackedUp, "aaguid": k.AAGUID}
	for _, fact := range [...]struct {
		name  string
		holds bool
	}{
		{"attested", k.Attested}, {"transaction_signed", len(c.Transaction) > 0}, {"counter_regressed", u.counterRegressed},
		{"backup_eligibility_changed", u.backupChanged},
	} {
		if fact.holds {
			extra[fact.name] = true
		}
	}
	return watchword.Proof{AMR: amrValues(k, u), Spend: &f, Subject: f.Subject, Extra: extra}, nil
}

// amrValues returns the RFC 8176 values of an assertion. A key counts as bound to its device (hwk) if its authenticator says
// so (BE is 0) and metadata does not report a software authenticator. User presence is always required.
func amrValues(k *key, u assertionResult) []string {
	values := []string{"hwk", "user"}
	if k.BackupEligible || k.Software {
		values[0] = "swk"
	}
	seen := map[string]bool{}
	for _, m := range u.verificationMethods {
		if name := amrValueOfMethod(m.UserVerificationMethod); name != "" && !seen[name] {
			values, seen[name] = append(values, name), true
		}
	}
	if u.userVerified {
		values = append(values, "mfa")
	}
	return values
}

// amrValueOfMethod returns the RFC 8176 value of a user verification method (FIDO Registry of Predefined Values §3.1), or "".
func amrValueOfMethod(method uint32) string {
	switch method {
	case 0x2: // fingerprint, internal
		return "fpt"
	case 0x4, 0x800: // passcode, internal and external
		return "pin"
	case 0x8: // voiceprint, internal
		return "vbm"
	case 0x10: // faceprint, internal
		return "face"
	case 0x20: // location, internal
		return "geo"
	case 0x80, 0x1000: // pattern, internal and external; RFC 8176 includes patterns in pin
		return "pin"
	}
	return ""
}

// logWarnings logs what an accepted assertion should not contain.
func (s *Strategy) logWarnings(ctx context.Context, c *watchword.Challenge, u assertionResult) {
	if u.counterRegressed {
		s.cfg.Logger.WarnContext(ctx, "signature counter did not increase: the key may have been copied", "challenge", c.ID)
	}
	if u.backupChanged {
		s.cfg.Logger.WarnContext(ctx, "backup eligibility of a key has changed", "challenge", c.ID)
	}
}
