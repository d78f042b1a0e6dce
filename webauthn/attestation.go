package webauthn

import (
	"context"
	"errors"
	"slices"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/protocol"
	lib "github.com/go-webauthn/webauthn/webauthn"
)

// An Attestation says which models of authenticators may be enrolled. Each must then prove its model by a certificate that
// FIDO metadata vouches for, and metadata must not warn of it. Keys that were enrolled before go on working.
//
// It turns away most passkeys, which prove no model: ask for it only where the rules demand certain devices.
type Attestation struct {
	Metadata *Metadata // required; until it has been loaded nothing can be enrolled
	Allow    []string  // AAGUIDs; none: every model that metadata knows
	Deny     []string  // AAGUIDs that may not be enrolled though metadata knows them
}

// attestationConveyance is whether authenticators are asked to prove their model (Level 3 §5.4.7).
func (s *Strategy) attestationConveyance() protocol.ConveyancePreference {
	if s.cfg.Attestation == nil {
		return protocol.PreferNoAttestation
	}
	return protocol.PreferDirectAttestation
}

// errMetadataNotLoaded is not the answer's fault: nothing is enrolled until somebody has loaded the metadata.
var errMetadataNotLoaded = errors.New("webauthn: no metadata is loaded")

// registrationVerifier is go-webauthn as it judges registrations: with the metadata of now, where models must be proven.
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

// checkModel applies the rules on models. go-webauthn has verified the statement, and the certificate against metadata if there
// is one; but it lets pass who proves nothing at all, and who signs for himself.
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

// keepsKeysInSoftware reports whether metadata says how a model keeps its keys, and names no hardware for it.
func (m *Metadata) keepsKeysInSoftware(ctx context.Context, aaguid string) (bool, error) {
	protection, err := m.keyProtection(ctx, aaguid)
	hardware := func(p string) bool { return p == "hardware" || p == "tee" || p == "secure_element" }
	return len(protection) > 0 && !slices.ContainsFunc(protection, hardware), err
}
