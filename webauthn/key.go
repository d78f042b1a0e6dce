package webauthn

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"

	"github.com/fxamacker/cbor/v2"
	"github.com/go-webauthn/webauthn/protocol"
	lib "github.com/go-webauthn/webauthn/webauthn"

	"github.com/watchword-auth/watchword"
)

// b64 is the encoding of every byte string in options and answers (Level 3 §3, base64url).
var b64 = base64.RawURLEncoding

// A key is what is stored of a credential (Level 3 §4, credential record), sealed in its factor. It is CBOR, which needs no
// base64 for what is mostly bytes: an assertion reads and writes it.
type key struct {
	ID             []byte   `cbor:"1,keyasint"`
	PublicKey      []byte   `cbor:"2,keyasint"` // COSE_Key
	RPID           string   `cbor:"3,keyasint"`
	UserHandle     []byte   `cbor:"4,keyasint"` // the user handle that it was made for
	Counter        uint32   `cbor:"5,keyasint,omitempty"`
	BackupEligible bool     `cbor:"6,keyasint,omitempty"`
	BackedUp       bool     `cbor:"7,keyasint,omitempty"`
	Verifies       bool     `cbor:"8,keyasint,omitempty"` // its user was verified when it was enrolled
	Transports     []string `cbor:"9,keyasint,omitempty"`
	AAGUID         string   `cbor:"10,keyasint"`
	Format         string   `cbor:"11,keyasint"`           // of the attestation statement
	Attested       bool     `cbor:"12,keyasint,omitempty"` // the model is certain, by FIDO metadata
	Software       bool     `cbor:"13,keyasint,omitempty"` // and that metadata knows of no hardware that keeps the key
}

// readKey reads a factor's key.
func readKey(f watchword.Factor) (*key, error) {
	k := &key{}
	if err := cbor.Unmarshal(f.Data, k); err != nil {
		return nil, fmt.Errorf("webauthn: factor %s: %w", f.ID, err)
	}
	return k, nil
}

// writeTo writes the key back into its factor.
func (k *key) writeTo(f *watchword.Factor) (err error) {
	f.Data, err = cbor.Marshal(k)
	return err
}

// Describe says what a key is: enough to tell one's keys apart, and nothing that signs.
func (s *Strategy) Describe(f watchword.Factor) map[string]any {
	k, err := readKey(f)
	if err != nil {
		return nil
	}
	out := map[string]any{"credential_id": b64.EncodeToString(k.ID), "rp_id": k.RPID, "aaguid": k.AAGUID,
		"backup_eligible": k.BackupEligible, "backed_up": k.BackedUp, "attested": k.Attested}
	if len(k.Transports) > 0 {
		out["transports"] = k.Transports
	}
	if name := s.modelNames[k.AAGUID]; name != "" {
		out["model"] = name
	}
	return out
}

// libraryCredential is the key as go-webauthn knows it.
func (k *key) libraryCredential() lib.Credential {
	return lib.Credential{ID: k.ID, PublicKey: k.PublicKey, AttestationFormat: k.Format,
		Flags:         lib.CredentialFlags{BackupEligible: k.BackupEligible, BackupState: k.BackedUp},
		Authenticator: lib.Authenticator{SignCount: k.Counter}}
}

// An libraryUser is go-webauthn's view of a subject: a user handle and the one key that answers, or none yet.
type libraryUser struct {
	handle []byte
	keys   []lib.Credential
}

func (o libraryUser) WebAuthnID() []byte                    { return o.handle }
func (o libraryUser) WebAuthnName() string                  { return "" }
func (o libraryUser) WebAuthnDisplayName() string           { return "" }
func (o libraryUser) WebAuthnCredentials() []lib.Credential { return o.keys }

// credentialDescriptors list keys in options, each with how its authenticator can be reached (Level 3 §5.8.3).
func credentialDescriptors(keys []*key) []map[string]any {
	out := make([]map[string]any, len(keys))
	for i, k := range keys {
		out[i] = map[string]any{"type": string(protocol.PublicKeyCredentialType), "id": b64.EncodeToString(k.ID)}
		if len(k.Transports) > 0 {
			out[i]["transports"] = k.Transports
		}
	}
	return out
}

// factorID is the id of the factor that keeps a credential: SHA-256(app | RP id | credential id). So one key is one factor
// of an app, whoever its subject is.
func (s *Strategy) factorID(app string, credential []byte) string {
	sum := sha256.Sum256(appendLengthPrefixed(nil, app, s.cfg.RPID, string(credential)))
	return b64.EncodeToString(sum[:])
}

// userHandle is a subject's user handle: it says nothing of the subject, and is the same for each of the subject's keys
// (Level 3 §14.6.1).
func (s *Strategy) userHandle(app, subject string) []byte {
	return s.deriveBytes("user handle", app, subject)
}

// deriveBytes is HMAC-SHA-256(Secret, parts).
func (s *Strategy) deriveBytes(parts ...string) []byte {
	h := hmac.New(sha256.New, []byte(s.cfg.Secret.Reveal()))
	h.Write(appendLengthPrefixed(nil, parts...))
	return h.Sum(nil)
}

// appendLengthPrefixed appends parts so that no two lists of them are written alike: each after its length.
func appendLengthPrefixed(out []byte, parts ...string) []byte {
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}
