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

// expected is what an answer must show.
type expected struct {
	challenge string // in base64url
	verified  bool   // the authenticator must have verified its user
	named     bool   // the challenge names its subject; otherwise the key must
}

// A use is what one assertion says beside that it is right.
type use struct {
	verified      bool // the user was verified, by an authenticator that did so at enrolment too
	methods       []protocol.UserVerificationMethod
	regressed     bool // the counter did not grow
	backupChanged bool // the backup eligibility is not what it was
}

// judge takes the steps of Level 3 §7.2 for an assertion by this key, and changes the key as a right one asks for: its
// counter and backup flags. The error is a refusal.
func (s *Strategy) judge(a *protocol.ParsedCredentialAssertionData, want expected, k *key) (use, error) {
	data := &a.Response.AuthenticatorData
	if err := s.checkClient(&a.Response.CollectedClientData, protocol.AssertCeremony, want.challenge); err != nil {
		return use{}, err
	}
	u := use{verified: data.Flags.HasUserVerified() && k.Verifies, backupChanged: data.Flags.HasBackupEligible() != k.BackupEligible}
	if err := s.checkAuthenticator(data, want.verified && !u.verified); err != nil {
		return use{}, err
	}
	if handle := a.Response.UserHandle; len(handle) > 0 && !bytes.Equal(handle, k.Handle) || len(handle) == 0 && !want.named {
		return use{}, refusedHandle
	}
	if !isEC2(k.PublicKey) && !sound(k.PublicKey) {
		return use{}, refusedAlgorithm // enrolled by an earlier version
	}
	k.BackupEligible, k.BackedUp = data.Flags.HasBackupEligible(), data.Flags.HasBackupState()
	record, err := s.asserts.ValidateLogin(owner{k.Handle, []lib.Credential{k.record()}},
		lib.SessionData{Challenge: want.challenge, RelyingPartyID: s.cfg.RPID, UserID: k.Handle}, a)
	if err != nil {
		return use{}, libraryRefusal(err)
	}
	if u.backupChanged && s.cfg.BackupChange == Reject {
		return use{}, refusedBackupChange
	}
	if u.regressed = record.Authenticator.CloneWarning; u.regressed && s.cfg.Counter == Reject {
		return use{}, refusedCounter
	}
	k.Counter = record.Authenticator.SignCount
	if u.verified && data.Ext != nil {
		u.methods = data.Ext.UVM
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
	case !slices.Contains(s.origins, c.Origin):
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

// library is the configuration of go-webauthn, whose own checks run beside ours. What was not asked for is ignored: some
// browsers return extensions unasked. Android's keys may be kept in software, unless models must be proven (§8.4).
func (c *Config) library() lib.Config {
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
