package webauthn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// Flags of authenticator data (Level 3 §6.1).
const (
	flagUP byte = 1 << 0
	flagUV byte = 1 << 2
	flagBE byte = 1 << 3
	flagBS byte = 1 << 4
	flagAT byte = 1 << 6
	flagED byte = 1 << 7
)

// A device is an authenticator and its browser. It is written from the standard and independent of the package, and signs
// mutated data too.
type device struct {
	t       testing.TB
	private *ecdsa.PrivateKey
	id      []byte
	handle  []byte
	aaguid  [16]byte
	counter uint32
	flags   byte
	origin  string
	rpID    string
}

func newDevice(t testing.TB) *device {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{t: t, private: private, id: make([]byte, 32), flags: flagUP | flagUV, origin: "https://login.example.com", rpID: "example.com"}
	if _, err := rand.Read(d.id); err != nil {
		t.Fatal(err)
	}
	return d
}

// A ceremony is an answer that a mutation may change before it is signed, or after.
type ceremony struct {
	client    map[string]any // the collected client data
	raw       []byte         // if set, instead of client
	rpID      string
	flags     byte
	counter   uint32
	tail      []byte // of the authenticator data: attested credential data, extensions
	statement map[string]any
	format    string
	private   *ecdsa.PrivateKey
	answer    map[string]any // the JSON form, but for what is made at the end
	response  map[string]any
}

// A mutation changes a ceremony before it is signed.
type mutation func(*ceremony)

// cose returns the public key as a COSE_Key for ES256 (RFC 9053 §7.1.1).
func (d *device) cose() []byte {
	point, err := d.private.PublicKey.Bytes()
	if err != nil {
		d.t.Fatal(err)
	}
	return encodeCBOR(d.t, map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
}

func encodeCBOR(t testing.TB, v any) []byte {
	t.Helper()
	mode, err := cbor.CTAP2EncOptions().EncMode()
	if err != nil {
		t.Fatal(err)
	}
	data, err := mode.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// attestedCredentialData encodes attested credential data (Level 3 §6.5.1).
func attestedCredentialData(aaguid [16]byte, id, cose []byte) []byte {
	out := append(aaguid[:], byte(len(id)>>8), byte(len(id)))
	return append(append(out, id...), cose...)
}

func (d *device) begin(kind string, options map[string]any) *ceremony {
	id := b64.EncodeToString(d.id)
	return &ceremony{client: map[string]any{"type": kind, "challenge": options["challenge"], "origin": d.origin, "crossOrigin": false},
		rpID: d.rpID, flags: d.flags, counter: d.counter, private: d.private, format: "none", statement: map[string]any{},
		answer:   map[string]any{"id": id, "rawId": id, "type": "public-key", "clientExtensionResults": map[string]any{}},
		response: map[string]any{}}
}

// create answers creation options, in the form of toJSON.
func (d *device) create(options map[string]any, mutations ...mutation) string {
	d.t.Helper()
	handle, err := b64.DecodeString(options["user"].(map[string]any)["id"].(string))
	if err != nil {
		d.t.Fatal(err)
	}
	d.handle = handle
	c := d.begin("webauthn.create", options)
	c.flags |= flagAT
	c.tail = attestedCredentialData(d.aaguid, d.id, d.cose())
	c.response["transports"] = []string{"internal", "hybrid"}
	for _, s := range mutations {
		s(c)
	}
	data, client := c.data(), c.clientData(d.t)
	if _, signs := c.statement["alg"]; signs {
		c.statement["sig"] = c.sign(d.t, data, client)
	}
	object := encodeCBOR(d.t, map[string]any{"fmt": c.format, "attStmt": c.statement, "authData": data})
	return c.finish(d.t, map[string]any{"clientDataJSON": b64.EncodeToString(client), "attestationObject": b64.EncodeToString(object)})
}

// get answers request options, in the form of toJSON.
func (d *device) get(options map[string]any, mutations ...mutation) string {
	d.t.Helper()
	d.counter++
	c := d.begin("webauthn.get", options)
	c.response["userHandle"] = b64.EncodeToString(d.handle)
	for _, s := range mutations {
		s(c)
	}
	data, client := c.data(), c.clientData(d.t)
	return c.finish(d.t, map[string]any{"clientDataJSON": b64.EncodeToString(client), "authenticatorData": b64.EncodeToString(data),
		"signature": b64.EncodeToString(c.sign(d.t, data, client))})
}

func (c *ceremony) data() []byte {
	rp := sha256.Sum256([]byte(c.rpID))
	out := append(rp[:], c.flags)
	return append(binary.BigEndian.AppendUint32(out, c.counter), c.tail...)
}

func (c *ceremony) clientData(t testing.TB) []byte {
	if c.raw != nil {
		return c.raw
	}
	data, err := json.Marshal(c.client)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (c *ceremony) sign(t testing.TB, data, client []byte) []byte {
	hash := sha256.Sum256(client)
	digest := sha256.Sum256(append(append([]byte{}, data...), hash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, c.private, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	return signature
}

// finish adds the computed members, unless a mutation has set them. nil removes a member.
func (c *ceremony) finish(t testing.TB, made map[string]any) string {
	for name, value := range c.response {
		made[name] = value
	}
	for name, value := range made {
		if value == nil {
			delete(made, name)
		}
	}
	if _, mutated := c.answer["response"]; !mutated {
		c.answer["response"] = made
	}
	for name, value := range c.answer {
		if value == nil {
			delete(c.answer, name)
		}
	}
	data, err := json.Marshal(c.answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
