package webauthn

import (
	"cmp"
	"crypto/sha256"
	"maps"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/watchword-auth/watchword"
)

// Names in the metadata of an enrolment challenge. Browsers show the values when they list the new key. The default of both is
// the subject.
const (
	MetadataAccount     = "account"      // the account, such as ada@example.com; the strategy "totp" uses it too
	MetadataDisplayName = "display_name" // the person, such as Ada Lovelace
)

// supportedAlgorithms returns the signature algorithms of keys, the preferred one first (Level 3 §5.4, RFC 9053).
func supportedAlgorithms() []webauthncose.COSEAlgorithmIdentifier {
	return []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgES384,
		webauthncose.AlgES512, webauthncose.AlgRS256}
}

// credentialParameters returns the algorithms as pubKeyCredParams.
func credentialParameters() []protocol.CredentialParameter {
	var out []protocol.CredentialParameter
	for _, a := range supportedAlgorithms() {
		out = append(out, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	return out
}

// encodeChallenge returns the challenge that the key signs, as base64url of 32 bytes derived from c. If c has a transaction,
// the bytes include the hash of its entries, so the signature covers the transaction:
//
//	SHA-256(derived bytes | SHA-256(name | value | name | value ...)), names in order, each part after its length
func (s *Strategy) encodeChallenge(c *watchword.Challenge) string {
	derived := c.DeriveBytes("webauthn", sha256.Size)
	if len(c.Transaction) == 0 {
		return b64.EncodeToString(derived)
	}
	var entries []byte
	for _, name := range slices.Sorted(maps.Keys(c.Transaction)) {
		entries = appendLengthPrefixed(entries, name, c.Transaction[name])
	}
	hash := sha256.Sum256(entries)
	sum := sha256.Sum256(append(derived, hash[:]...))
	return b64.EncodeToString(sum[:])
}

// requestOptions returns PublicKeyCredentialRequestOptionsJSON (Level 3 §5.1.10) without allowCredentials. The extension uvm
// asks for the user verification method, which receipts name.
func (s *Strategy) requestOptions(c *watchword.Challenge) map[string]any {
	options := map[string]any{
		"challenge":        s.encodeChallenge(c),
		"rpId":             s.cfg.RPID,
		"timeout":          challengeLifetime.Milliseconds(),
		"userVerification": string(s.userVerification(c)),
		"extensions":       map[string]any{protocol.ExtensionUVM: true},
	}
	if hints := s.cfg.policy(c.Purpose).Hints; len(hints) > 0 {
		options["hints"] = hints
	}
	return options
}

// creationOptions returns PublicKeyCredentialCreationOptionsJSON (Level 3 §5.1.8). The subject's keys are excluded, so that an
// authenticator does not create a second key for the same subject.
func (s *Strategy) creationOptions(c *watchword.Challenge, keys []*key) map[string]any {
	p := s.cfg.policy(c.Purpose)
	selection := map[string]any{"userVerification": string(p.UserVerification), "residentKey": string(p.ResidentKey),
		"requireResidentKey": p.ResidentKey == Required}
	if p.Attachment != "" {
		selection["authenticatorAttachment"] = p.Attachment
	}
	name := cmp.Or(c.Metadata[MetadataAccount], c.Subject)
	options := map[string]any{
		"challenge": s.encodeChallenge(c),
		"rp":        map[string]any{"id": s.cfg.RPID, "name": s.cfg.RPName},
		"user": map[string]any{"id": b64.EncodeToString(s.userHandle(c.App(), c.Subject)), "name": name,
			"displayName": cmp.Or(c.Metadata[MetadataDisplayName], name)},
		"pubKeyCredParams":       credentialParameters(),
		"timeout":                challengeLifetime.Milliseconds(),
		"excludeCredentials":     credentialDescriptors(keys),
		"authenticatorSelection": selection,
		"attestation":            string(s.attestationConveyance()),
	}
	if len(p.Hints) > 0 {
		options["hints"] = p.Hints
	}
	return options
}
