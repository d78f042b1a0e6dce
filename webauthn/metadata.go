package webauthn

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
	"github.com/go-webauthn/webauthn/metadata/providers/memory"
	"github.com/google/uuid"

	"github.com/watchword-auth/watchword/internal/outbound"
)

// MetadataURL is where the FIDO Alliance publishes its metadata.
const MetadataURL = "https://mds3.fidoalliance.org/"

// metadataSigner is the DNS name in the certificate of the FIDO Alliance's signer. Its root is a public one, under which others
// have certificates too, and go-webauthn does not compare the name.
const metadataSigner = "mds.fidoalliance.org"

// maxMetadataSize is the maximum size of a metadata document, in bytes. FIDO's has about ten million.
const maxMetadataSize = 64 << 20

// Metadata is a document of the FIDO Metadata Service (MDS 3): for each authenticator model, the root certificates that prove
// it and its status. It is empty until [Metadata.LoadFile] or [Metadata.Refresh] loads a document; only Refresh downloads
// one. Metadata is safe for concurrent use, and a newer document may be loaded at any time.
type Metadata struct {
	root    string
	current atomic.Pointer[metadataDocument]
}

// A metadataDocument is one verified document.
type metadataDocument struct {
	provider   metadata.Provider
	number     int // increases with each publication
	nextUpdate time.Time
}

// NewMetadata returns empty Metadata. root is the certificate to which the document's signature must chain, as base64 of
// its DER form. An empty root means the root certificate of the FIDO Alliance.
func NewMetadata(root string) *Metadata { return &Metadata{root: root} }

// LoadFile loads a document from a file that has the form of what [MetadataURL] serves.
func (m *Metadata) LoadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("webauthn: metadata: %w", err)
	}
	defer f.Close()
	return m.load(f)
}

// Refresh downloads a document from url and loads it. Limits on time and addresses are those of client.
func (m *Metadata) Refresh(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("webauthn: metadata: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("webauthn: metadata: %w", outbound.Reason(err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("webauthn: metadata: the server answered %d", resp.StatusCode)
	}
	return m.load(resp.Body)
}

// NextUpdate returns the date by which the loaded document says that the next one will be published; zero if no document is
// loaded.
func (m *Metadata) NextUpdate() time.Time {
	if c := m.current.Load(); c != nil {
		return c.nextUpdate
	}
	return time.Time{}
}

// load verifies a document and replaces the loaded one, unless that is newer. go-webauthn asks the issuers of the
// certificates, by [http.DefaultClient], whether they are revoked; it ignores missing answers.
func (m *Metadata) load(r io.Reader) error {
	blob, err := io.ReadAll(io.LimitReader(r, maxMetadataSize+1))
	if err != nil {
		return fmt.Errorf("webauthn: metadata: %w", outbound.Reason(err))
	}
	if len(blob) > maxMetadataSize {
		return errors.New("webauthn: metadata: the document is too large")
	}
	next, err := parseMetadata(blob, m.root)
	if err != nil {
		return fmt.Errorf("webauthn: metadata: %w", err)
	}
	for {
		before := m.current.Load()
		if before != nil && next.number < before.number {
			return fmt.Errorf("webauthn: metadata: document %d is older than document %d, which is loaded", next.number, before.number)
		}
		if m.current.CompareAndSwap(before, next) {
			return nil
		}
	}
}

// Reasons why a document is refused. The errors of go-webauthn are not wrapped, because they quote the document.
var (
	errSignatureNotVerified = errors.New("the document's signature cannot be verified")
	errUnreadableDocument   = errors.New("the document cannot be read")
)

// parseMetadata verifies and parses a signed document. Entries that cannot be parsed are left out, so their models are
// refused.
func parseMetadata(blob []byte, root string) (*metadataDocument, error) {
	options := []metadata.DecoderOption{metadata.WithIgnoreEntryParsingErrors()}
	name := ""
	if root == "" {
		root, name = metadata.ProductionMDSRoot, metadataSigner
	}
	if err := checkSigner(blob, root, name); err != nil {
		return nil, err
	}
	options = append(options, metadata.WithRootCertificate(root))
	decoder, err := metadata.NewDecoder(options...)
	if err != nil {
		return nil, err
	}
	payload, err := decoder.DecodeBytes(blob)
	if err != nil {
		return nil, errSignatureNotVerified
	}
	document, err := decoder.Parse(payload)
	if err != nil {
		return nil, errUnreadableDocument
	}
	provider, err := memory.New(memory.WithMetadata(document.ToMap()), memory.WithMetadataKeyIdentifiers(document.ToKeyIdentifierMap()),
		memory.WithValidateEntryKeyIdentifier(true))
	if err != nil {
		return nil, errUnreadableDocument
	}
	return &metadataDocument{provider: provider, number: document.Parsed.Number, nextUpdate: document.Parsed.NextUpdate}, nil
}

// keyProtection returns the key protection of a model as metadata lists it; none if metadata does not.
func (m *Metadata) keyProtection(ctx context.Context, aaguid string) ([]string, error) {
	id, err := uuid.Parse(aaguid)
	if err != nil {
		return nil, err
	}
	entry, err := m.current.Load().provider.GetEntry(ctx, id)
	if err != nil || entry == nil {
		return nil, err
	}
	return entry.MetadataStatement.KeyProtection, nil
}

// checkSigner verifies that the signer's certificate in a document (x5c, RFC 7515 §4.1.6) chains to the root and, if name is
// not empty, is issued for it. go-webauthn verifies the chain too, and the signature, but only after it has sent revocation
// requests to addresses in the certificates. checkSigner runs first, so that those addresses come from a trusted issuer.
func checkSigner(blob []byte, root, name string) error {
	first, _, _ := bytes.Cut(blob, []byte("."))
	data, err := b64.DecodeString(string(first))
	if err != nil {
		return errors.New("the document is no JWS")
	}
	var header struct {
		X5C [][]byte `json:"x5c"`
	}
	if err := json.Unmarshal(data, &header); err != nil || len(header.X5C) == 0 {
		return errors.New("the document names no certificate")
	}
	options := x509.VerifyOptions{DNSName: name, Roots: x509.NewCertPool(), Intermediates: x509.NewCertPool(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}
	trusted, err := base64.StdEncoding.DecodeString(root)
	if err != nil {
		return fmt.Errorf("the root: %w", err)
	}
	anchor, err := x509.ParseCertificate(trusted)
	if err != nil {
		return fmt.Errorf("the root: %w", err)
	}
	options.Roots.AddCert(anchor)
	chain := make([]*x509.Certificate, len(header.X5C))
	for i, der := range header.X5C {
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return errors.New("the document's certificate cannot be read")
		}
		options.Intermediates.AddCert(chain[i])
	}
	if _, err = chain[0].Verify(options); err != nil { // the error quotes the certificate
		return fmt.Errorf("the document is not signed by %s: %w", cmp.Or(name, "a certificate under the root"), outbound.Reason(err))
	}
	return nil
}
