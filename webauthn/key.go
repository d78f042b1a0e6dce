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

// A key is a credential record (Level 3 §4). It is stored, sealed, as the data of a factor. The encoding is CBOR, because
// most fields are bytes.
type key struct {
	ID             []byte   `cbor:"1,keyasint"`
	PublicKey      []byte   `cbor:"2,keyasint"` // COSE_Key
	RPID           string   `cbor:"3,keyasint"`
	UserHandle     []byte   `cbor:"4,keyasint"` // for which it was created
	Counter        uint32   `cbor:"5,keyasint,omitempty"`
	BackupEligible bool     `cbor:"6,keyasint,omitempty"`
	BackedUp       bool     `cbor:"7,keyasint,omitempty"`
	Verifies       bool     `cbor:"8,keyasint,omitempty"` // the user was verified at enrolment
	Transports     []string `cbor:"9,keyasint,omitempty"`
	AAGUID         string   `cbor:"10,keyasint"`
	Format         string   `cbor:"11,keyasint"`           // of the attestation statement
	Attested       bool     `cbor:"12,keyasint,omitempty"` // the model was proven against FIDO metadata
	Software       bool     `cbor:"13,keyasint,omitempty"` // the model has no hardware protection by that metadata
}

// readKey decodes the key of a factor.
func readKey(f watchword.Factor) (*key, error) {
	k := &key{}
	if err := cbor.Unmarshal(f.Data, k); err != nil {
		return nil, fmt.Errorf("webauthn: factor %s: %w", f.ID, err)
	}
	return k, nil
}

// writeTo encodes the key into its factor.
func (k *key) writeTo(f *watchword.Factor) (err error) {
	f.Data, err = cbor.Marshal(k)
	return err
}

// Describe returns the public properties of a key, by which a subject can tell its keys apart.
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

// libraryCredential returns the key in go-webauthn's form.
func (k *key) libraryCredential() lib.Credential {
	return lib.Credential{ID: k.ID, PublicKey: k.PublicKey, AttestationFormat: k.Format,
		Flags:         lib.CredentialFlags{BackupEligible: k.BackupEligible, BackupState: k.BackedUp},
		Authenticator: lib.Authenticator{SignCount: k.Counter}}
}

// A libraryUser is a subject in go-webauthn's form: a user handle and the key that answers, or no key in a registration.
type libraryUser struct {
	handle []byte
	keys   []lib.Credential
}

// WebAuthnID returns the user handle (Level 3 §5.4.3).
func (o libraryUser) WebAuthnID() []byte { return o.handle }

// WebAuthnName is empty: the options are not made by the library.
func (o libraryUser) WebAuthnName() string { return "" }

// WebAuthnDisplayName is empty, like WebAuthnName.
func (o libraryUser) WebAuthnDisplayName() string { return "" }

// WebAuthnCredentials returns the keys that may answer.
func (o libraryUser) WebAuthnCredentials() []lib.Credential { return o.keys }

// credentialDescriptors returns keys as PublicKeyCredentialDescriptorJSON, with their transports (Level 3 §5.8.3).
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

// factorID returns the id of the factor that stores a credential: SHA-256(app | RP id | credential id). A key can therefore
// be enrolled once in an app, whatever the subject.
func (s *Strategy) factorID(app string, credential []byte) string {
	sum := sha256.Sum256(appendLengthPrefixed(nil, app, s.cfg.RPID, string(credential)))
	return b64.EncodeToString(sum[:])
}

// userHandle returns the user handle of a subject: the same for all its keys, and without information about the subject
// (Level 3 §14.6.1).
func (s *Strategy) userHandle(app, subject string) []byte {
	return s.deriveBytes("user handle", app, subject)
}

// deriveBytes returns HMAC-SHA-256(Config.Secret, parts), each part after its length.
func (s *Strategy) deriveBytes(parts ...string) []byte {
	h := hmac.New(sha256.New, []byte(s.cfg.Secret.Reveal()))
	h.Write(appendLengthPrefixed(nil, parts...))
	return h.Sum(nil)
}

// appendLengthPrefixed appends each part after its length, so that two different lists never have the same encoding.
func appendLengthPrefixed(out []byte, parts ...string) []byte {
	for _, p := range parts {
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
		out = append(out, p...)
	}
	return out
}
