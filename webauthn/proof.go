package webauthn

import (
	"context"

	"github.com/watchword-auth/watchword"
)

// newProof is what a right answer earns, and what it is paid with: the key as it must be stored now.
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

// amrValues lists the RFC 8176 values that an assertion earns. That a key stays in its device is the authenticator's own word
// (BE is 0), unless metadata says that the model has no hardware for it; that the user was there is always required.
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

// amrValueOfMethod is the RFC 8176 value of a user verification method (FIDO Registry of Predefined Values §3.1), if it has
// one.
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
	case 0x80, 0x1000: // pattern, internal and external: RFC 8176 counts it as a pin
		return "pin"
	}
	return ""
}

// logWarnings tells the log of what was let pass.
func (s *Strategy) logWarnings(ctx context.Context, c *watchword.Challenge, u assertionResult) {
	if u.counterRegressed {
		s.cfg.Logger.WarnContext(ctx, "a key's signature counter did not grow: it may have been copied", "challenge", c.ID)
	}
	if u.backupChanged {
		s.cfg.Logger.WarnContext(ctx, "a key's backup eligibility has changed, which it never should", "challenge", c.ID)
	}
}
