package webauthn

import (
	"bytes"
	"cmp"
	"context"
	"regexp"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	lib "github.com/go-webauthn/webauthn/webauthn"

	"github.com/watchword-auth/watchword"
)

// defaultLabel is the label of a key of an unknown model.
const defaultLabel = "Security key"

// transportPattern limits the transports that a browser reports. They are not signed.
var transportPattern = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)

// maxTransports is how many transports of a key are stored.
const maxTransports = 8

// BeginEnrol returns the options for creating a key. They exclude the keys that the subject already has.
func (s *Strategy) BeginEnrol(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	keys, err := s.usableKeys(ctx, c)
	if err != nil {
		return watchword.Prompt{}, err
	}
	return watchword.Prompt{Ask: watchword.AskNewKey, Public: s.creationOptions(c, keys)}, nil
}

// VerifyEnrol verifies a registration (Level 3 §7.1) and returns the factor to create. The factor's id is derived from the
// credential id, so the engine refuses a key that any subject of the app has already registered.
func (s *Strategy) VerifyEnrol(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	answered, err := readCredential(answer)
	if err != nil {
		return watchword.Factor{}, err
	}
	r, err := answered.parseRegistration()
	if err != nil {
		return watchword.Factor{}, s.refuse(ctx, c, err)
	}
	want := expectation{challenge: s.encodeChallenge(c), userVerified: s.userVerification(c) == Required}
	k, err := s.verifyRegistration(ctx, r, want, s.userHandle(c.App(), c.Subject))
	if err == nil && s.isDecoy(c.App(), k.ID) {
		err = refusedDecoyID
	}
	if err != nil {
		return watchword.Factor{}, s.refuse(ctx, c, err)
	}
	f := watchword.Factor{ID: s.factorID(c.App(), k.ID)}
	if c.Label == "" {
		f.Label = cmp.Or(s.modelNames[k.AAGUID], defaultLabel)
	}
	return f, k.writeTo(&f)
}

// verifyRegistration takes the steps of Level 3 §7.1 and returns the key to store. The error is a refusal, or
// errMetadataNotLoaded.
func (s *Strategy) verifyRegistration(ctx context.Context, r *protocol.ParsedCredentialCreationData, want expectation, handle []byte) (*key, error) {
	data := &r.Response.AttestationObject.AuthData
	verified := data.Flags.HasUserVerified()
	if err := s.checkClient(&r.Response.CollectedClientData, protocol.CreateCeremony, want.challenge); err != nil {
		return nil, err
	}
	if err := s.checkAuthenticator(data, want.userVerified && !verified); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.RawID, data.AttData.CredentialID) {
		return nil, refusedCredentialID
	}
	if !isAcceptedKey(data.AttData.CredentialPublicKey) {
		return nil, refusedAlgorithm
	}
	if !areStatementsBounded(&r.Response.AttestationObject) {
		return nil, refusedAttestation
	}
	library, err := s.registrationVerifier()
	if err != nil {
		return nil, err
	}
	record, err := library.CreateCredential(libraryUser{handle: handle},
		lib.SessionData{Challenge: want.challenge, RelyingPartyID: s.cfg.RPID, UserID: handle, CredParams: credentialParameters()}, r)
	if err != nil {
		return nil, libraryRefusal(err)
	}
	k := &key{ID: record.ID, PublicKey: record.PublicKey, RPID: s.cfg.RPID, UserHandle: handle, Counter: record.Authenticator.SignCount,
		BackupEligible: data.Flags.HasBackupEligible(), BackedUp: data.Flags.HasBackupState(), Verifies: verified,
		Transports: validTransports(record.Transport), AAGUID: formatAAGUID(record.Authenticator.AAGUID), Format: record.AttestationFormat}
	return k, s.checkModel(ctx, k, record.AttestationType)
}

// validTransports returns the well-formed transports, without duplicates and at most maxTransports.
func validTransports(reported []protocol.AuthenticatorTransport) (kept []string) {
	for _, t := range reported {
		if transportPattern.MatchString(string(t)) && !slices.Contains(kept, string(t)) && len(kept) < maxTransports {
			kept = append(kept, string(t))
		}
	}
	return kept
}
