package webauthn

import (
	"context"
	"errors"

	"github.com/watchword-auth/watchword"
)

// A refusal is why an answer is wrong, for the log alone. Whoever answers is told nothing but that it is.
type refusal string

// Error is the reason's name.
func (r refusal) Error() string { return "webauthn: refused: " + string(r) }

// The refusals. Those without a comment are named after what Level 3 §7.1 and §7.2 compare.
const (
	refusedType         refusal = "type" // of the other ceremony
	refusedChallenge    refusal = "challenge"
	refusedOrigin       refusal = "origin"
	refusedCrossOrigin  refusal = "cross_origin"
	refusedTopOrigin    refusal = "top_origin"
	refusedRPID         refusal = "rp_id"
	refusedPresence     refusal = "user_presence"
	refusedVerification refusal = "user_verification"
	refusedBackupState  refusal = "backup_state"  // backed up, though it cannot be
	refusedBackupChange refusal = "backup_change" // its backup eligibility is not what it was
	refusedCounter      refusal = "counter"       // did not grow
	refusedUserHandle   refusal = "user_handle"   // another user's, or none where the key must name its own
	refusedUnknownKey   refusal = "unknown_key"   // not enrolled, or for another app or RP id
	refusedOtherSubject refusal = "foreign_key"   // another subject's
	refusedOtherFactor  refusal = "other_factor"  // not the one factor that may answer
	refusedDisabledKey  refusal = "disabled_key"
	refusedDecoyID      refusal = "taken_id" // one that decoys have
	refusedSignature    refusal = "signature"
	refusedAlgorithm    refusal = "algorithm"     // not offered, or a key that does not fit it or is not sound
	refusedCredentialID refusal = "credential_id" // the attested one is another
	refusedAttestation  refusal = "attestation"   // does not verify, or is none where one is needed
	refusedModel        refusal = "model"         // the AAGUID is not allowed
	refusedByLibrary    refusal = "other"         // what only go-webauthn looks at
)

// refuse logs why an answer is wrong and says no more than that it is. Errors that are no refusals, of a store that cannot
// be reached say, go on as they are.
func (s *Strategy) refuse(ctx context.Context, c *watchword.Challenge, err error) error {
	var reason refusal
	if !errors.As(err, &reason) {
		return err
	}
	s.cfg.Logger.InfoContext(ctx, "a key's answer was refused", "challenge", c.ID, "purpose", c.Purpose, "reason", string(reason))
	return watchword.ErrMismatch
}
