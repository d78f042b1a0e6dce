package webauthn

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	lib "github.com/go-webauthn/webauthn/webauthn"
)

// An expectation is what an answer must contain.
type expectation struct {
	challenge    string // in base64url
	userVerified bool   // the authenticator must have verified its user
	subjectNamed bool   // the challenge has a subject; otherwise the answer must have a user handle
}

// An assertionResult holds the facts that an accepted assertion states.
type assertionResult struct {
	userVerified        bool // the user was verified now, and also at enrolment
	verificationMethods []protocol.UserVerificationMethod
	counterRegressed    bool // the signature counter did not increase
	backupChanged       bool // the backup eligibility has changed
}

// verifyAssertion takes the steps of Level 3 §7.2 for an assertion by k and updates the counter and backup flags of k. The
// error is a refusal.
func (s *Strategy) verifyAssertion(a *protocol.ParsedCredentialAssertionData, want expectation, k *key) (assertionResult, error) {
	data := &a.Response.AuthenticatorData
	if err := s.checkClient(&a.Response.CollectedClientData, protocol.AssertCeremony, want.challenge); err != nil {
		return assertionResult{}, err
	}
	u := assertionResult{userVerified: data.Flags.HasUserVerified() && k.Verifies, backupChanged: data.Flags.HasBackupEligible() != k.BackupEligible}
	if err := s.checkAuthenticator(data, want.userVerified && !u.userVerified); err != nil {
		return assertionResult{}, err
	}
	if handle := a.Response.UserHandle; len(handle) > 0 && !bytes.Equal(handle, k.UserHandle) || len(handle) == 0 && !want.subjectNamed {
		return assertionResult{}, refusedUserHandle
	}
	if !isEC2Key(k.PublicKey) && !isSafeKey(k.PublicKey) {
		return assertionResult{}, refusedAlgorithm // a key that was enrolled before enrolment checked this
	}
	k.BackupEligible, k.BackedUp = data.Flags.HasBackupEligible(), data.Flags.HasBackupState()
	record, err := s.assertionVerifier.ValidateLogin(libraryUser{k.UserHandle, []lib.Credential{k.libraryCredential()}},
		lib.SessionData{Challenge: want.challenge, RelyingPartyID: s.cfg.RPID, UserID: k.UserHandle}, a)
	if err != nil {
		return assertionResult{}, libraryRefusal(err)
	}
	if u.backupChanged && s.cfg.BackupChange == Reject {
		return assertionResult{}, refusedBackupChange
	}
	if u.counterRegressed = record.Authenticator.CloneWarning; u.counterRegressed && s.cfg.Counter == Reject {
		return assertionResult{}, refusedCounter
	}
	k.Counter = record.Authenticator.SignCount
	if u.userVerified && data.Ext != nil {
		u.verificationMethods = data.Ext.UVM
	}
	return u, nil
}

// checkClient compares the client data. Origins are compared byte for byte: go-webauthn would also accept an origin in another
// case, with a path or with a user name.
func (s *Strategy) checkClient(c *protocol.CollectedClientData, ceremony protocol.CeremonyType, challenge string) error {
	switch {
	case c.Type != ceremony:
		return refusedType
	case subtle.ConstantTimeCompare([]byte(c.Challenge), []byte(challenge)) != 1:
		return refusedChallenge
	case !slices.Contains(s.acceptedOrigins, c.Origin):
		return refusedOrigin
	case c.CrossOrigin && !s.cfg.CrossOrigin:
		return refusedCrossOrigin
	case c.TopOrigin != "" && (!c.CrossOrigin || !slices.Contains(s.cfg.TopOrigins, c.TopOrigin)):
		return refusedTopOrigin
	}
	return nil
}

// checkAuthenticator compares the authenticator data. unverified means that user verification is required and missing.
func (s *Strategy) checkAuthenticator(d *protocol.AuthenticatorData, unverified bool) error {
	rp := sha256.Sum256([]byte(s.cfg.RPID))
	switch {
	case !bytes.Equal(d.RPIDHash, rp[:]):
		return refusedRPID
	case !d.Flags.HasUserPresent():
		return refusedPresence
	case unverified:
		return refusedVerification
	case d.Flags.HasBackupState() && !d.Flags.HasBackupEligible():
		return refusedBackupState
	}
	return nil
}

// libraryRefusal returns the refusal for an error of go-webauthn.
func libraryRefusal(err error) refusal {
	var e *protocol.Error
	if !errors.As(err, &e) {
		return refusedByLibrary
	}
	switch e.Type {
	case protocol.ErrAssertionSignature.Type:
		return refusedSignature
	case protocol.ErrInvalidAttestation.Type, protocol.ErrAttestationFormat.Type, protocol.ErrAttestation.Type,
		protocol.ErrAttestationCertificate.Type, protocol.ErrMetadata.Type:
		return refusedAttestation
	}
	return refusedByLibrary
}

// libraryConfig returns the configuration of go-webauthn, whose checks run in addition to those of this package. Unsolicited
// extension outputs are ignored, because some browsers return them. Android keys may be stored in software, unless models
// must be proven (Level 3 §8.4).
func (c *Config) libraryConfig() lib.Config {
	scope := protocol.AndroidKeyAuthorizationScopeUnion
	if c.Attestation != nil {
		scope = protocol.AndroidKeyAuthorizationScopeTEEEnforced
	}
	return lib.Config{
		RPID: c.RPID, RPDisplayName: c.RPName,
		RPOrigins: slices.Concat(c.Origins, c.RelatedOrigins), RPOpaqueOrigins: c.NativeOrigins,
		RPAllowCrossOrigin: c.CrossOrigin, RPTopOrigins: c.TopOrigins, RPTopOriginVerificationMode: protocol.TopOriginExplicitVerificationMode,
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
		Attestation:                       protocol.AttestationPolicy{AndroidKey: protocol.AndroidKeyPolicy{AuthorizationScope: scope}},
	}
}
