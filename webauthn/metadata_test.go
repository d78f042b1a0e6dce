package webauthn

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword"
)

// A manufacturer has a root certificate and issues certificates under it.
type manufacturer struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newManufacturer(t testing.TB) *manufacturer {
	t.Helper()
	m := &manufacturer{t: t}
	m.key, m.cert = m.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "a root"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	return m
}

// issue issues a certificate under the manufacturer's root, or the root itself.
func (m *manufacturer) issue(template *x509.Certificate, public crypto.PublicKey) (*ecdsa.PrivateKey, *x509.Certificate) {
	m.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		m.t.Fatal(err)
	}
	if public == nil {
		public = &key.PublicKey
	}
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, by := m.cert, m.key
	if parent == nil {
		parent, by = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, by)
	if err != nil {
		m.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		m.t.Fatal(err)
	}
	return key, cert
}

// attestModel attests a model by a certificate (Level 3 §8.2.1).
func (m *manufacturer) attestModel(model [16]byte) mutation {
	extension, err := asn1.Marshal(model[:])
	if err != nil {
		m.t.Fatal(err)
	}
	key, cert := m.issue(&x509.Certificate{BasicConstraintsValid: true,
		Subject:         pkix.Name{Country: []string{"AA"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"}, CommonName: "a key"},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: extension}}}, nil)
	return func(c *ceremony) {
		c.format, c.private = "packed", key
		c.statement["alg"], c.statement["x5c"] = -7, [][]byte{cert.Raw}
	}
}

// A model is an entry of metadata.
type model struct {
	aaguid        [16]byte
	maker         *manufacturer
	status        string
	keyProtection []string
}

// signMetadata returns a document about models that is signed under a root: the root in base64, and the JWS.
func signMetadata(t testing.TB, service *manufacturer, number int, models ...model) (root string, blob []byte) {
	t.Helper()
	var entries []map[string]any
	for _, m := range models {
		entries = append(entries, map[string]any{"aaguid": formatAAGUID(m.aaguid[:]), "timeOfLastStatusChange": "2026-01-01",
			"statusReports": []map[string]any{{"status": m.status, "effectiveDate": "2026-01-01"}},
			"metadataStatement": map[string]any{"aaguid": formatAAGUID(m.aaguid[:]), "attestationTypes": []string{"basic_full"}, "keyProtection": m.keyProtection,
				"attestationRootCertificates": []string{base64.StdEncoding.EncodeToString(m.maker.cert.Raw)}}})
	}
	key, cert := service.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "metadata"}, DNSNames: []string{"metadata.example"}}, nil)
	chain := []string{base64.StdEncoding.EncodeToString(cert.Raw), base64.StdEncoding.EncodeToString(service.cert.Raw)}
	text := b64.EncodeToString([]byte(encodeJSON(map[string]any{"alg": "ES256", "typ": "JWT", "x5c": chain}))) + "." +
		b64.EncodeToString([]byte(encodeJSON(map[string]any{"no": number, "nextUpdate": "2026-06-01", "entries": entries})))
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	return base64.StdEncoding.EncodeToString(service.cert.Raw), []byte(text + "." + b64.EncodeToString(signature))
}

// Only models that metadata lists without a compromise are accepted.
func TestVerifyEnrolChecksAttestedModels(t *testing.T) {
	service, good, evil := newManufacturer(t), newManufacturer(t), newManufacturer(t)
	allowed, denied, broken, soft, unknown := [16]byte{1}, [16]byte{2}, [16]byte{3}, [16]byte{4}, [16]byte{9}
	root, blob := signMetadata(t, service, 1,
		model{allowed, good, "FIDO_CERTIFIED_L1", []string{"hardware", "secure_element"}}, model{denied, good, "FIDO_CERTIFIED", []string{"hardware"}},
		model{broken, good, "USER_KEY_REMOTE_COMPROMISE", []string{"hardware"}}, model{soft, good, "FIDO_CERTIFIED", []string{"software"}})
	m := NewMetadata(root)
	proving := func(lists Attestation) *kit {
		lists.Metadata = m
		return newKit(t, func(c *Config, _ *watchword.Config) { c.Attestation = &lists })
	}
	if scope := newKit(t).strategy.libraryConfig.Attestation.AndroidKey.AuthorizationScope; scope != protocol.AndroidKeyAuthorizationScopeUnion {
		t.Errorf("Android's keys in software are refused though models need no proof: %v", scope)
	}
	if scope := proving(Attestation{}).strategy.libraryConfig.Attestation.AndroidKey.AuthorizationScope; scope != protocol.AndroidKeyAuthorizationScopeTEEEnforced {
		t.Errorf("Android's keys in software are accepted: %v", scope)
	}
	k := proving(Attestation{Deny: []string{formatAAGUID(denied[:])}})
	if a := k.startChallenge(watchword.PurposeEnrol, "user_42"); a.options["attestation"] != "direct" {
		t.Errorf("asks for attestation %v", a.options["attestation"])
	}
	enrol := func(k *kit, model [16]byte, mutations ...mutation) (*device, error) {
		d := newDevice(t)
		d.aaguid = model
		a := k.startChallenge(watchword.PurposeEnrol, "user_42")
		_, err := k.answer(a, d.create(a.options, mutations...))
		return d, err
	}
	if _, err := enrol(k, allowed, good.attestModel(allowed)); !errors.Is(err, watchword.ErrUnavailable) {
		t.Errorf("before metadata is loaded: %v", err)
	}
	file := filepath.Join(t.TempDir(), "blob.jwt")
	if err := os.WriteFile(file, blob, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.LoadFile(file); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		model  [16]byte
		mutate mutation
		reason refusal
	}{
		"no statement":           {allowed, setFlags(0), refusedAttestation},
		"self attestation":       {allowed, func(c *ceremony) { c.format, c.statement["alg"] = "packed", -7 }, refusedAttestation},
		"another maker's":        {allowed, evil.attestModel(allowed), refusedAttestation},
		"another model's":        {allowed, good.attestModel(denied), refusedAttestation},
		"a denied model":         {denied, good.attestModel(denied), refusedModel},
		"a compromised model":    {broken, good.attestModel(broken), refusedAttestation},
		"an unknown model":       {unknown, good.attestModel(unknown), refusedAttestation},
		"a model without a name": {[16]byte{}, setFlags(0), refusedAttestation},
	} {
		t.Run(name, func(t *testing.T) {
			k.t = t
			_, err := enrol(k, c.model, c.mutate)
			k.wantRefusal(err, c.reason)
		})
	}
	k.t = t
	d, err := enrol(k, allowed, good.attestModel(allowed))
	if err != nil {
		t.Fatalf("an allowed model: %v (%s)", err, k.refusals.lastReason())
	}
	if claims := k.mustSignIn("sign_in", "user_42", d); claims.Extra["attested"] != true || claims.AMR[0] != "hwk" {
		t.Errorf("amr %v, extra %v", claims.AMR, claims.Extra)
	}
	if d, err = enrol(k, soft, good.attestModel(soft)); err != nil {
		t.Fatalf("a model in software: %v (%s)", err, k.refusals.lastReason())
	}
	if claims := k.mustSignIn("sign_in", "user_42", d); claims.AMR[0] != "swk" {
		t.Errorf("in software: amr %v", claims.AMR)
	}
	strict := proving(Attestation{Allow: []string{strings.ToUpper(formatAAGUID(allowed[:]))}})
	if _, err := enrol(strict, allowed, good.attestModel(allowed)); err != nil {
		t.Errorf("a listed model: %v (%s)", err, strict.refusals.lastReason())
	}
	_, err = enrol(strict, soft, good.attestModel(soft))
	strict.wantRefusal(err, refusedModel)
}

// A document must be signed under the root and must not be older than the loaded one.
func TestLoadRefusesInvalidMetadata(t *testing.T) {
	service, maker := newManufacturer(t), newManufacturer(t)
	root, second := signMetadata(t, service, 2, model{[16]byte{1}, maker, "FIDO_CERTIFIED", nil})
	_, first := signMetadata(t, service, 1)
	_, third := signMetadata(t, service, 3)
	_, forged := signMetadata(t, newManufacturer(t), 4)
	m := NewMetadata(root)
	if !m.NextUpdate().IsZero() {
		t.Error("empty metadata has a next update")
	}
	load := func(blob []byte) error { return m.load(strings.NewReader(string(blob))) }
	if err := load(second); err != nil {
		t.Fatal(err)
	}
	if want := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC); !m.NextUpdate().Equal(want) {
		t.Errorf("next update %s", m.NextUpdate())
	}
	none := b64.EncodeToString([]byte(`{"alg":"none"}`)) + string(second[strings.Index(string(second), "."):])
	for name, blob := range map[string][]byte{"older": first, "another root": forged, "nothing": nil, "no JWS": []byte("x.y.z"), "no algorithm": []byte(none),
		"changed": []byte(strings.Replace(string(third), ".", ".e", 1)), "cut": third[:len(third)-1]} {
		if err := load(blob); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := load(second); err != nil {
		t.Errorf("the same again: %v", err)
	}
	if err := load(third); err != nil {
		t.Errorf("newer: %v", err)
	}
	if err := m.LoadFile(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there")
	}
	// Others have certificates under the FIDO Alliance's root too.
	if err := NewMetadata("").load(strings.NewReader(string(third))); err == nil || !strings.Contains(err.Error(), metadataSigner) {
		t.Errorf("another signer: %v", err)
	}
}

func TestRefreshDownloadsMetadata(t *testing.T) {
	root, blob := signMetadata(t, newManufacturer(t), 1)
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write(blob)
	}))
	defer server.Close()
	m := NewMetadata(root)
	status = http.StatusNotFound
	if err := m.Refresh(context.Background(), server.Client(), server.URL); err == nil {
		t.Error("404 is accepted")
	}
	status = http.StatusOK
	if err := m.Refresh(context.Background(), server.Client(), server.URL); err != nil || m.NextUpdate().IsZero() {
		t.Errorf("refresh: %v", err)
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	if err := m.Refresh(canceled, server.Client(), server.URL); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if err := m.Refresh(context.Background(), server.Client(), "::"); err == nil {
		t.Error("no URL is accepted")
	}
}

// The document is refused before revocation addresses in it are requested.
func TestLoadRequestsNoAddressOfUnsignedMetadata(t *testing.T) {
	asked := false
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer inside.Close()
	attacker := newManufacturer(t)
	key, cert := attacker.issue(&x509.Certificate{Subject: pkix.Name{CommonName: "metadata"}, DNSNames: []string{metadataSigner},
		CRLDistributionPoints: []string{inside.URL}, OCSPServer: []string{inside.URL}}, nil)
	chain := []string{base64.StdEncoding.EncodeToString(cert.Raw), base64.StdEncoding.EncodeToString(attacker.cert.Raw)}
	text := b64.EncodeToString([]byte(encodeJSON(map[string]any{"alg": "ES256", "typ": "JWT", "x5c": chain}))) + "." + b64.EncodeToString([]byte(`{}`))
	digest := sha256.Sum256([]byte(text))
	r, s, err := ecdsa.Sign(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	text += "." + b64.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
	known, _ := signMetadata(t, newManufacturer(t), 1)
	for _, root := range []string{"", known} {
		if err := NewMetadata(root).load(strings.NewReader(text)); err == nil {
			t.Error("accepted")
		}
	}
	if asked {
		t.Error("an address was asked that only the document names")
	}
}
