package webauthn

import (
	"context"
	"errors"

	"github.com/watchword-auth/watchword"
)

// A refusal is the reason why an answer is wrong. It is logged; the caller gets watchword.ErrMismatch.
type refusal string

// Error returns the reason's name.
func (r refusal) Error() string { return "webauthn: refused: " + string(r) }

// The refusals. Those without a comment are named after the value that Level 3 §7.1 and §7.2 compare.
const (
	refusedType         refusal = "type" // of the other ceremony
	refusedChallenge    refusal = "challenge"
	refusedOrigin       refusal = "origin"
	refusedCrossOrigin  refusal = "cross_origin"
	refusedTopOrigin    refusal = "top_origin"
	refusedRPID         refusal = "rp_id"
	refusedPresence     refusal = "user_presence"
	refusedVerification refusal = "user_verification"
	refusedBackupState  refusal = "backup_state"  // backed up, but not backup eligible
	refusedBackupChange refusal = "backup_change" // the backup eligibility has changed
	refusedCounter      refusal = "counter"       // the counter did not increase
	refusedUserHandle   refusal = "user_handle"   // of another subject, or missing where it is required
	refusedUnknownKey   refusal = "unknown_key"   // not enrolled in this app for this RP id
	refusedOtherSubject refusal = "foreign_key"   // a key of another subject
	refusedOtherFactor  refusal = "other_factor"  // not the factor that the challenge names
	refusedDisabledKey  refusal = "disabled_key"
	refusedDecoyID      refusal = "taken_id" // a registration with the id of a decoy
	refusedSignature    refusal = "signature"
	refusedAlgorithm    refusal = "algorithm"     // not supported, or the key does not fit it or is not safe
	refusedCredentialID refusal = "credential_id" // not the id in the attested credential data
	refusedAttestation  refusal = "attestation"   // invalid, or missing where it is required
	refusedModel        refusal = "model"         // the AAGUID is not allowed
	refusedByLibrary    refusal = "other"         // any other check of go-webauthn
)

// refuse logs a refusal and returns watchword.ErrMismatch. It returns any other error, of the store for example, unchanged.
func (s *Strategy) refuse(ctx context.Context, c *watchword.Challenge, err error) error {
	var reason refusal
	if !errors.As(err, &reason) {
		return err
	}
	s.cfg.Logger.InfoContext(ctx, "webauthn answer refused", "challenge", c.ID, "purpose", c.Purpose, "reason", string(reason))
	return watchword.ErrMismatch
}
