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

// expectation is what an answer must show.
type expectation struct {
	challenge    string // in base64url
	userVerified bool   // the authenticator must have verified its user
	subjectNamed bool   // the challenge names its subject; otherwise the key must
}

// A assertionResult is what one assertion says beside that it is right.
type assertionResult struct {
	userVerified        bool // the user was verified, by an authenticator that did so at enrolment too
	verificationMethods []protocol.UserVerificationMethod
	counterRegressed    bool // the counter did not grow
	backupChanged       bool // the backup eligibility is not what it was
}

// verifyAssertion takes the steps of Level 3 §7.2 for an assertion by this key, and changes the key as a right one asks for: its
// counter and backup flags. The error is a refusal.
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
		return assertionResult{}, refusedAlgorithm // enrolled by an earlier version
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

// checkClient compares what the browser signed of itself. Origins are compared byte for byte: go-webauthn would take
// another spelling, a path or a user name for the same.
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

// checkAuthenticator compares what the authenticator signed of itself; unverified means that the user had to be verified
// and was not.
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

// libraryRefusal names what is left for go-webauthn to find.
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

// libraryConfig is the configuration of go-webauthn, whose own checks run beside ours. What was not asked for is ignored: some
// browsers return extensions unasked. Android's keys may be kept in software, unless models must be proven (§8.4).
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
