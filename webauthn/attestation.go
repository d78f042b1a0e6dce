package webauthn

import (
	"context"
	"errors"
	"slices"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	lib "github.com/go-webauthn/webauthn/webauthn"
)

// An Attestation restricts enrolment to certain authenticator models. A new key must prove its model by a certificate that
// chains to a root in FIDO metadata, and metadata must not report the model as compromised. Keys that are already enrolled
// are not affected.
//
// Most passkeys carry no attestation and are refused. Use an Attestation only where regulation demands certain devices.
type Attestation struct {
	Metadata *Metadata // required; until it is loaded nothing can be enrolled
	Allow    []string  // AAGUIDs of the accepted models; default: every model in Metadata
	Deny     []string  // AAGUIDs of models in Metadata that are refused; must be empty if Allow is set
}

// attestationConveyance returns the attestation preference of the creation options (Level 3 §5.4.7).
func (s *Strategy) attestationConveyance() protocol.ConveyancePreference {
	if s.cfg.Attestation == nil {
		return protocol.PreferNoAttestation
	}
	return protocol.PreferDirectAttestation
}

// errMetadataNotLoaded is no refusal: the answer may be right, but no model can be checked before the metadata is loaded.
var errMetadataNotLoaded = errors.New("webauthn: no metadata is loaded")

// registrationVerifier returns a go-webauthn that verifies registrations, with the current metadata if models must be proven.
func (s *Strategy) registrationVerifier() (*lib.WebAuthn, error) {
	if s.cfg.Attestation == nil {
		return s.assertionVerifier, nil
	}
	current := s.cfg.Attestation.Metadata.current.Load()
	if current == nil {
		return nil, errMetadataNotLoaded
	}
	library := s.libraryConfig
	library.MDS = current.provider
	return lib.New(&library)
}

// checkModel applies Config.Attestation to a new key. go-webauthn has verified the statement and, if there is one, the
// certificate against metadata; but it accepts a missing attestation and self attestation.
func (s *Strategy) checkModel(ctx context.Context, k *key, kind string) error {
	if s.cfg.Attestation == nil {
		return nil
	}
	switch metadata.AuthenticatorAttestationType(kind) {
	case metadata.BasicFull, metadata.AttCA, metadata.AnonCA:
	default:
		return refusedAttestation
	}
	if len(s.allowedModels) > 0 && !s.allowedModels[k.AAGUID] || s.deniedModels[k.AAGUID] {
		return refusedModel
	}
	var err error
	k.Attested = true
	k.Software, err = s.cfg.Attestation.Metadata.keepsKeysInSoftware(ctx, k.AAGUID)
	return err
}

// keepsKeysInSoftware reports whether metadata lists the key protection of a model and names no hardware.
func (m *Metadata) keepsKeysInSoftware(ctx context.Context, aaguid string) (bool, error) {
	protection, err := m.keyProtection(ctx, aaguid)
	hardware := func(p string) bool { return p == "hardware" || p == "tee" || p == "secure_element" }
	return len(protection) > 0 && !slices.ContainsFunc(protection, hardware), err
}
