package webauthn

import (
	"crypto/x509"
	"slices"
	"testing"
	_ "unsafe" // for go:linkname
)

// go-webauthn has the roots of three attestation formats built in. The vectors have a root of their own, and a TPM of a
// manufacturer who does not exist; to see the statements verified, the tests of the vectors trust both for their time.

//go:linkname libraryAndroidRoots github.com/go-webauthn/webauthn/protocol.attAndroidKeyHardwareRootsCertPool
var libraryAndroidRoots *x509.CertPool

//go:linkname libraryAppleRoots github.com/go-webauthn/webauthn/protocol.attAppleHardwareRootsCertPool
var libraryAppleRoots *x509.CertPool

//go:linkname libraryTPMs github.com/go-webauthn/webauthn/protocol.tpmManufacturers
var libraryTPMs []struct{ id, name, code string }

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
