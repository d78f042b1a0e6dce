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

// metadataSigner is whom the FIDO Alliance's root must vouch for. The root is a public one, that others' certificates lead to as
// well, and go-webauthn does not look whose certificate it is.
const metadataSigner = "mds.fidoalliance.org"

// maxMetadataSize is how large a document may be, in bytes; FIDO's has some ten million.
const maxMetadataSize = 64 << 20

// Metadata is the FIDO Metadata Service's word on models of authenticators (MDS 3): the certificates that prove them, and
// warnings. It is empty until it is loaded; documents are downloaded by [Metadata.Refresh] only. It is safe for concurrent
// use, and may be renewed at any time.
type Metadata struct {
	root    string
	current atomic.Pointer[metadataDocument]
}

// A metadataDocument is one edition of the metadata.
type metadataDocument struct {
	provider   metadata.Provider
	number     int // editions count up
	nextUpdate time.Time
}

// NewMetadata makes metadata that is yet empty. The root is the certificate that the document's signature must lead to, in
// base64 (DER); empty: the FIDO Alliance's own.
func NewMetadata(root string) *Metadata { return &Metadata{root: root} }

// LoadFile reads a document from a file, as [MetadataURL] serves it.
func (m *Metadata) LoadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("webauthn: metadata: %w", err)
	}
	defer f.Close()
	return m.load(f)
}

// Refresh downloads a document. The client's limits on time and addresses apply to that.
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

// NextUpdate is when the FIDO Alliance will have published the next edition; zero while nothing is loaded.
func (m *Metadata) NextUpdate() time.Time {
	if c := m.current.Load(); c != nil {
		return c.nextUpdate
	}
	return time.Time{}
}

// load verifies a document and puts it into force, unless an edition that is newer is there already. On the way the
// issuers of its certificates are asked, by [http.DefaultClient], whether these were revoked; without an answer it goes on.
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
			return fmt.Errorf("webauthn: metadata: edition %d is older than %d, which is in force", next.number, before.number)
		}
		if m.current.CompareAndSwap(before, next) {
			return nil
		}
	}
}

// Why a document is not taken. What go-webauthn says of it is left out, because it quotes the document.
var (
	errSignatureNotVerified = errors.New("the document's signature cannot be verified")
	errUnreadableDocument   = errors.New("the document cannot be read")
)

// parseMetadata reads a signed document. Models that it cannot read are unknown, and so refused.
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

// keyProtection is how metadata says that a model keeps its keys; none if it does not say.
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

// checkSigner verifies that the certificate that a document names as its signer's (RFC 7515 §4.1.6) leads to the root and,
// if a name is given, is for that. go-webauthn verifies it too, and that it made the signature, but asks whether it was
// revoked before: by then the addresses that it asks are those of certificates that are to be believed.
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
	if _, err = chain[0].Verify(options); err != nil { // which quotes the certificate
		return fmt.Errorf("the document is not signed by %s: %w", cmp.Or(name, "whom the root vouches for"), outbound.Reason(err))
	}
	return nil
}
