package webauthn

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"

	"github.com/watchword-auth/watchword"
)

// An authorizationList holds the checked fields of the key description in Android certificates (Level 3 §8.4.1).
type authorizationList struct {
	Purpose         []int         `asn1:"tag:1,explicit,set,optional,omitempty"`
	AllApplications asn1.RawValue `asn1:"optional"`
	Origin          asn1.RawValue `asn1:"optional"`
}

// Purposes of a key.
const (
	toEncrypt = 0
	toSign    = 2
)

var (
	generated       = tagged(702, asn1.TagInteger, 0)
	imported        = tagged(702, asn1.TagInteger, 2)
	allApplications = tagged(600, asn1.TagNull)
)

// tagged returns a value with an explicit tag.
func tagged(tag int, kind byte, value ...byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: true, Bytes: append([]byte{kind, byte(len(value))}, value...)}
}

// androidKey attests the key with an Android certificate with these lists.
func androidKey(d *device, by *manufacturer, software, hardware authorizationList) mutation {
	return func(c *ceremony) {
		challenge := sha256.Sum256(c.clientData(d.t))
		description, err := asn1.Marshal(struct {
			Version          int
			Level            asn1.Enumerated
			KeymasterVersion int
			KeymasterLevel   asn1.Enumerated
			Challenge, ID    []byte
			Software         authorizationList
			Hardware         authorizationList
		}{300, 1, 300, 1, challenge[:], nil, software, hardware})
		if err != nil {
			d.t.Fatal(err)
		}
		_, cert := by.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "Android Keystore Key"},
			ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 11129, 2, 1, 17}, Value: description}}}, d.private.Public())
		c.format, c.statement = "android-key", map[string]any{"alg": -7, "x5c": [][]byte{cert.Raw}}
	}
}

// Origin and purpose may be in the software or the hardware list.
func TestVerifyEnrolChecksAndroidAuthorizationLists(t *testing.T) {
	root, k := newManufacturer(t), newKit(t)
	trustRoot(t, root.cert.Raw)
	full := authorizationList{Purpose: []int{toSign}, Origin: generated}
	none := authorizationList{}
	for name, c := range map[string]struct {
		software, hardware authorizationList
		by                 *manufacturer
		refused            bool
	}{
		"in hardware":          {hardware: full},
		"in software":          {software: full},
		"in both":              {software: authorizationList{Purpose: []int{toEncrypt, toSign}}, hardware: authorizationList{Origin: generated}},
		"empty lists":          {none, none, nil, true},
		"no origin":            {hardware: authorizationList{Purpose: []int{toSign}}, refused: true},
		"imported":             {hardware: authorizationList{Purpose: []int{toSign}, Origin: imported}, refused: true},
		"no purpose":           {hardware: authorizationList{Origin: generated}, refused: true},
		"for encryption":       {hardware: authorizationList{Purpose: []int{toEncrypt}, Origin: generated}, refused: true},
		"for all applications": {authorizationList{AllApplications: allApplications}, full, nil, true},
		"under another's root": {hardware: full, by: newManufacturer(t), refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			k.t = t
			d := newDevice(t)
			if c.by == nil {
				c.by = root
			}
			a := k.startChallenge(watchword.PurposeEnrol, "user_42")
			_, err := k.answer(a, d.create(a.options, androidKey(d, c.by, c.software, c.hardware)))
			if c.refused {
				k.wantRefusal(err, refusedAttestation)
			} else if err != nil {
				t.Errorf("%v (%s)", err, k.refusals.lastReason())
			}
		})
	}
}
