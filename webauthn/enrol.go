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

// unnamed is the label of a key whose model is not known.
const unnamed = "Security key"

// transportPattern bounds what a browser may say of how an authenticator is reached; nothing else of it is signed.
var transportPattern = regexp.MustCompile(`^[a-z][a-z-]{0,31}$`)

// maxTransports of a key are kept.
const maxTransports = 8

// BeginEnrol asks for a new key, beside those that the subject has.
func (s *Strategy) BeginEnrol(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	keys, err := s.keys(ctx, c)
	if err != nil {
		return watchword.Prompt{}, err
	}
	return watchword.Prompt{Ask: watchword.AskNewKey, Public: s.creationOptions(c, keys)}, nil
}

// VerifyEnrol judges a registration (Level 3 §7.1) and returns the factor to create. Its id is the key's own, so the engine
// refuses a key that is registered already, whoever it belongs to.
func (s *Strategy) VerifyEnrol(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	answered, err := readCredential(answer)
	if err != nil {
		return watchword.Factor{}, err
	}
	r, err := answered.registration()
	if err != nil {
		return watchword.Factor{}, s.refuse(ctx, c, err)
	}
	want := expected{challenge: s.challenge(c), verified: s.requires(c) == Required}
	k, err := s.register(ctx, r, want, s.handle(c.App(), c.Subject))
	if err == nil && s.isDecoy(c.App(), k.ID) {
		err = refusedTaken
	}
	if err != nil {
		return watchword.Factor{}, s.refuse(ctx, c, err)
	}
	f := watchword.Factor{ID: s.factorID(c.App(), k.ID)}
	if c.Label == "" {
		f.Label = cmp.Or(s.names[k.AAGUID], unnamed)
	}
	return f, k.store(&f)
}

// register takes the steps of Level 3 §7.1 and returns the key to keep. The error is a refusal, or that metadata is not
// there yet.
func (s *Strategy) register(ctx context.Context, r *protocol.ParsedCredentialCreationData, want expected, handle []byte) (*key, error) {
	data := &r.Response.AttestationObject.AuthData
	verified := data.Flags.HasUserVerified()
	if err := s.checkClient(&r.Response.CollectedClientData, protocol.CreateCeremony, want.challenge); err != nil {
		return nil, err
	}
	if err := s.checkAuthenticator(data, want.verified && !verified); err != nil {
		return nil, err
	}
	if !bytes.Equal(r.RawID, data.AttData.CredentialID) {
		return nil, refusedCredentialID
	}
	if !offered(data.AttData.CredentialPublicKey) {
		return nil, refusedAlgorithm
	}
	if !statementsBounded(&r.Response.AttestationObject) {
		return nil, refusedAttestation
	}
	library, err := s.registrar()
	if err != nil {
		return nil, err
	}
	record, err := library.CreateCredential(owner{handle: handle},
		lib.SessionData{Challenge: want.challenge, RelyingPartyID: s.cfg.RPID, UserID: handle, CredParams: parameters()}, r)
	if err != nil {
		return nil, libraryRefusal(err)
	}
	k := &key{ID: record.ID, PublicKey: record.PublicKey, RPID: s.cfg.RPID, Handle: handle, Counter: record.Authenticator.SignCount,
		BackupEligible: data.Flags.HasBackupEligible(), BackedUp: data.Flags.HasBackupState(), Verifies: verified,
		Transports: transports(record.Transport), AAGUID: aaguidText(record.Authenticator.AAGUID), Format: record.AttestationFormat}
	return k, s.attest(ctx, k, record.AttestationType)
}

// transports keeps what looks like one.
func transports(reported []protocol.AuthenticatorTransport) (kept []string) {
	for _, t := range reported {
		if transportPattern.MatchString(string(t)) && !slices.Contains(kept, string(t)) && len(kept) < maxTransports {
			kept = append(kept, string(t))
		}
	}
	return kept
}
