package webauthn

import (
	"crypto/x509"
	"slices"
	"testing"
	_ "unsafe" // for go:linkname
)

// Variables of go-webauthn with its built-in roots.

//go:linkname libraryAndroidRoots github.com/go-webauthn/webauthn/protocol.attAndroidKeyHardwareRootsCertPool
var libraryAndroidRoots *x509.CertPool

//go:linkname libraryAppleRoots github.com/go-webauthn/webauthn/protocol.attAppleHardwareRootsCertPool
var libraryAppleRoots *x509.CertPool

//go:linkname libraryTPMs github.com/go-webauthn/webauthn/protocol.tpmManufacturers
var libraryTPMs []struct{ id, name, code string }

// trustRoot adds the vectors' root, and their fictitious TPM manufacturer, to those that are built into go-webauthn, so that
// the test can verify the statements of three attestation formats.
func trustRoot(t *testing.T, ca []byte) {
	t.Helper()
	root, err := x509.ParseCertificate(ca)
	if err != nil {
		t.Fatal(err)
	}
	android, apple, tpms := libraryAndroidRoots, libraryAppleRoots, libraryTPMs
	t.Cleanup(func() { libraryAndroidRoots, libraryAppleRoots, libraryTPMs = android, apple, tpms })
	libraryAndroidRoots, libraryAppleRoots = android.Clone(), apple.Clone()
	libraryAndroidRoots.AddCert(root)
	libraryAppleRoots.AddCert(root)
	libraryTPMs = append(slices.Clip(tpms), struct{ id, name, code string }{"00000000", "of the vectors", "TEST"})
}
