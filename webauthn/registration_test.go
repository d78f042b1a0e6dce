package webauthn

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

func mutateAttestedData(change func(aaguid *[16]byte, id *[]byte, key *[]byte)) func(d *device) mutation {
	return func(d *device) mutation {
		return func(c *ceremony) {
			aaguid, id, key := d.aaguid, bytes.Clone(d.id), d.cose()
			change(&aaguid, &id, &key)
			c.tail = attestedCredentialData(aaguid, id, key)
		}
	}
}

// Every mutated registration is refused with the same error and its reason in the log, and nothing is enrolled.
func TestVerifyEnrolRefusesMutatedRegistrations(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	cases := clientCases("webauthn.get")
	more := func(name string, reason refusal, mutate mutation) {
		cases[name] = struct {
			mutate mutation
			reason refusal
		}{mutate, reason}
	}
	cose := func(key map[int]any) mutation {
		return mutateAttestedData(func(_ *[16]byte, _, out *[]byte) { *out = encodeCBOR(t, key) })(d)
	}
	point, err := d.private.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	x, y := point[1:33], point[33:]
	more("credential id is not the attested one", refusedCredentialID, combine(setAnswerMember("id", "AAAA"), setAnswerMember("rawId", "AAAA")))
	more("attested id is another", refusedCredentialID, mutateAttestedData(func(_ *[16]byte, id, _ *[]byte) { (*id)[0] ^= 1 })(d))
	more("attested id of 1024 bytes", malformed, mutateAttestedData(func(_ *[16]byte, id, _ *[]byte) { *id = make([]byte, 1024) })(d))
	more("attested id longer than all", malformed, func(c *ceremony) { c.tail[16], c.tail[17] = 3, 255 })
	more("no attested data", malformed, combine(clearFlags(flagAT), func(c *ceremony) { c.tail = nil }))
	more("attested data cut short", malformed, func(c *ceremony) { c.tail = c.tail[:len(c.tail)-1] })
	more("algorithm not offered, ES256K", refusedAlgorithm, cose(map[int]any{1: 2, 3: -47, -1: 8, -2: x, -3: y}))
	more("algorithm not offered, RS1", refusedAlgorithm, cose(map[int]any{1: 3, 3: -65535, -1: make([]byte, 256), -2: []byte{1, 0, 1}}))
	more("algorithm 0", refusedAlgorithm, cose(map[int]any{1: 2, 3: 0, -1: 1, -2: x, -3: y}))
	more("no algorithm", refusedAlgorithm, cose(map[int]any{1: 2, -1: 1, -2: x, -3: y}))
	more("curve of another algorithm", refusedAlgorithm, cose(map[int]any{1: 2, 3: -35, -1: 1, -2: x, -3: y}))
	more("key no map", refusedAlgorithm, mutateAttestedData(func(_ *[16]byte, _, key *[]byte) { *key = []byte{0x80} })(d))
	large := make([]byte, maxStatementValue+1)
	more("a large certificate", refusedAttestation, func(c *ceremony) {
		c.format, c.statement["alg"], c.statement["x5c"] = "packed", -7, [][]byte{large}
	})
	more("a large part of a part", refusedAttestation, func(c *ceremony) { c.statement["x"] = map[string]any{"y": []any{string(large)}} })
	more("statement with format none", refusedAttestation, func(c *ceremony) { c.statement["x"] = 1 })
	more("unknown format", refusedAttestation, func(c *ceremony) { c.format = "x" })
	more("self attestation by another key", refusedAttestation, func(c *ceremony) {
		c.format, c.statement["alg"], c.private = "packed", -7, newDevice(t).private
	})
	more("self attestation by another algorithm", refusedAttestation, func(c *ceremony) { c.format, c.statement["alg"] = "packed", -257 })
	more("attestation object missing", malformed, setResponseMember("attestationObject", nil))
	more("attestation object empty", malformed, setResponseMember("attestationObject", ""))
	more("attestation object a list", malformed, setResponseMember("attestationObject", b64.EncodeToString([]byte{0x80})))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k.t = t
			a := k.startChallenge(watchword.PurposeEnrol, "user_42")
			_, err := k.answer(a, d.create(a.options, c.mutate))
			k.wantRefusal(err, c.reason)
		})
	}
	if factors, err := k.ListFactors(context.Background(), "user_42"); err != nil || len(factors) > 0 {
		t.Errorf("%d keys are enrolled, %v", len(factors), err)
	}
	k.t = t
	k.enrol("user_42", d)
}

func TestEnrolledKeyIsListedAndRequested(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	d.aaguid = [16]byte{0x2f, 0xc0, 0x57, 0x9f, 0x81, 0x13, 0x47, 0xea, 0xb1, 0x16, 0xbb, 0x5a, 0x8d, 0xb9, 0x20, 0x2a}
	f := k.enrol("user_42", d, setResponseMember("transports", []string{"usb", "USB", "nfc", "usb", strings.Repeat("x", 40), ""}), func(c *ceremony) {
		c.format, c.statement["alg"] = "packed", -7
	})
	if f.Label != "YubiKey 5 NFC" || f.ID != k.strategy.factorID("shop", d.id) || len(f.ID) != 43 {
		t.Errorf("label %q, id %q", f.Label, f.ID)
	}
	want := map[string]any{"credential_id": b64.EncodeToString(d.id), "rp_id": "example.com", "aaguid": "2fc0579f-8113-47ea-b116-bb5a8db9202a",
		"model": "YubiKey 5 NFC", "backup_eligible": false, "backed_up": false, "attested": false, "transports": []string{"usb", "nfc"}}
	got, err := k.GetFactor(context.Background(), f.ID)
	if err != nil || !reflect.DeepEqual(got.Public, want) || got.Data != nil {
		t.Errorf("listed as %v, %v", got.Public, err)
	}
	a := k.startChallenge("sign_in", "user_42")
	listed := []any{map[string]any{"type": "public-key", "id": b64.EncodeToString(d.id), "transports": []any{"usb", "nfc"}}}
	if !reflect.DeepEqual(a.options["allowCredentials"], listed) {
		t.Errorf("asks for %v", a.options["allowCredentials"])
	}
	if named := k.start(watchword.StartRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42", Label: "blue one"}); true {
		r, err := k.answer(named, newDevice(t).create(named.options))
		if err != nil || r.Factor.Label != "blue one" {
			t.Errorf("labelled %v, %v", r, err)
		}
	}
	if other := k.enrol("user_43", newDevice(t)); other.Label != defaultLabel {
		t.Errorf("an unknown model is labelled %q", other.Label)
	}
}

func TestBeginEnrolReturnsCreationOptions(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) {
		c.Policies = map[string]Policy{watchword.PurposeEnrol: {ResidentKey: Required, Attachment: "platform", Hints: []string{"client-device"}}}
	})
	first := k.enrol("user_42", newDevice(t))
	a := k.start(watchword.StartRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42",
		Metadata: map[string]string{MetadataAccount: "ada@example.com", MetadataDisplayName: "Ada"}})
	o := a.options
	delete(o, "challenge")
	want := map[string]any{
		"rp":   map[string]any{"id": "example.com", "name": "Example"},
		"user": map[string]any{"id": b64.EncodeToString(k.strategy.userHandle("shop", "user_42")), "name": "ada@example.com", "displayName": "Ada"},
		"pubKeyCredParams": []any{map[string]any{"type": "public-key", "alg": -7.}, map[string]any{"type": "public-key", "alg": -8.},
			map[string]any{"type": "public-key", "alg": -35.}, map[string]any{"type": "public-key", "alg": -36.}, map[string]any{"type": "public-key", "alg": -257.}},
		"timeout": 300000., "attestation": "none", "hints": []any{"client-device"},
		"excludeCredentials":     []any{map[string]any{"type": "public-key", "id": first.Public["credential_id"], "transports": []any{"internal", "hybrid"}}},
		"authenticatorSelection": map[string]any{"userVerification": "required", "residentKey": "required", "requireResidentKey": true, "authenticatorAttachment": "platform"},
	}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("asks for %v\nwant %v", o, want)
	}
	if user := k.startChallenge(watchword.PurposeEnrol, "user_43").options["user"].(map[string]any); user["name"] != "user_43" || user["displayName"] != "user_43" {
		t.Errorf("without metadata the user is %v", user)
	}
}

// A key cannot be registered again, by the same subject or another.
func TestVerifyEnrolRefusesRegisteredKey(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	for _, subject := range []string{"user_42", "user_43"} {
		a := k.startChallenge(watchword.PurposeEnrol, subject)
		if _, err := k.answer(a, d.create(a.options)); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Errorf("%s registers it again: %v", subject, err)
		}
	}
	d.handle = k.strategy.userHandle("shop", "user_42")
	k.mustSignIn("sign_in", "user_42", d)
	if factors, err := k.ListFactors(context.Background(), "user_43"); err != nil || len(factors) > 0 {
		t.Errorf("the other has %d keys, %v", len(factors), err)
	}
}

func TestFactorIDHashesLengthPrefixedParts(t *testing.T) {
	s := newKit(t).strategy
	h := sha256.New()
	for _, part := range []string{"shop", "example.com", "an id"} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	if got, want := s.factorID("shop", []byte("an id")), b64.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
