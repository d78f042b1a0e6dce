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

// Metadata of an enrolment that browsers show when they list the new key. Without them they show the subject.
const (
	MetadataAccount     = "account"      // ada@example.com; authenticator apps show it too
	MetadataDisplayName = "display_name" // the person: Ada Lovelace
)

// supportedAlgorithms are those that keys may sign with, the preferred one first (Level 3 §5.4, RFC 9053).
func supportedAlgorithms() []webauthncose.COSEAlgorithmIdentifier {
	return []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgES384,
		webauthncose.AlgES512, webauthncose.AlgRS256}
}

// credentialParameters are the algorithms in the words of the options.
func credentialParameters() []protocol.CredentialParameter {
	var out []protocol.CredentialParameter
	for _, a := range supportedAlgorithms() {
		out = append(out, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: a})
	}
	return out
}

// encodeChallenge is what the key signs, in base64url: 32 bytes derived from the challenge. Where a transaction is approved the
// hash of all its entries is part of them, so the signature itself covers what was approved:
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

// requestOptions are PublicKeyCredentialRequestOptionsJSON (Level 3 §5.1.10), yet without a list of keys. The verification
// method is asked for (uvm) because receipts name it where an authenticator does.
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

// creationOptions are PublicKeyCredentialCreationOptionsJSON (Level 3 §5.1.8). The subject's keys are excluded, so that an
// authenticator does not make a second one beside its first.
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
