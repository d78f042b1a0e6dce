package main

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// The snippets of docs/receipts.md that verify with other libraries are run as they stand there, but for the place of the key
// set, with receipts of a server whose clock is ahead or behind, and with those that they must refuse.

// snippet is a block of code of docs/receipts.md that holds a text.
func snippet(t *testing.T, language, holds string) string {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```" + language + "\n(.*?)```")
	for _, block := range blocks.FindAllStringSubmatch(readDoc(t, "../../docs/receipts.md"), -1) {
		if strings.Contains(block[1], holds) {
			return block[1]
		}
	}
	t.Fatalf("docs/receipts.md has no %s that holds %q", language, holds)
	return ""
}

// A receiptCase is a receipt and whether it is to be accepted.
type receiptCase struct {
	name   string
	change func(now int64, c *watchword.Claims)
	accept bool
}

func receiptCases() []receiptCase {
	issued := func(ago, lives int64) func(int64, *watchword.Claims) {
		return func(now int64, c *watchword.Claims) {
			c.IssuedAt, c.AuthTime, c.ExpiresAt = now-ago, now-ago, now-ago+lives
		}
	}
	return []receiptCase{
		{"clocks alike", issued(0, 300), true},
		{"a server one second ahead", issued(-1, 300), true},
		{"a server 50 seconds ahead", issued(-50, 300), true},
		{"a server 50 seconds behind", issued(50, 300), true},
		{"a server ten minutes ahead", issued(-600, 300), false},
		{"expired by ten seconds", issued(310, 300), false},
		{"valid for an hour", issued(0, 3600), false},
		{"another purpose", func(_ int64, c *watchword.Claims) { c.Purpose = "mfa" }, false},
		{"another subject", func(_ int64, c *watchword.Claims) { c.Subject = "user_43" }, false},
		{"another audience", func(_ int64, c *watchword.Claims) { c.Audience = "bank" }, false},
		{"another issuer", func(_ int64, c *watchword.Claims) { c.Issuer = "https://verify.example.net" }, false},
		{"another nonce", func(_ int64, c *watchword.Claims) { c.Nonce = "other" }, false},
		{"a transaction", func(_ int64, c *watchword.Claims) { c.Transaction = map[string]string{"amount": "1.00"} }, false},
	}
}

// A receiptMaker signs whatever it is asked to, with the key that it publishes.
type receiptMaker struct {
	sign, asAnother jose.Signer // as a receipt, and as another kind of token
	keys            *httptest.Server
}

func newReceiptMaker(t *testing.T) *receiptMaker {
	t.Helper()
	key, err := receipt.GenerateKey("k", receipt.EdDSA)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{key}})
	if err != nil {
		t.Fatal(err)
	}
	m := &receiptMaker{}
	m.keys = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(signer.JWKS())
	}))
	t.Cleanup(m.keys.Close)
	m.sign, m.asAnother = joseSigner(t, key, receipt.Type), joseSigner(t, key, "JWT")
	return m
}

func joseSigner(t *testing.T, key receipt.Key, kind string) jose.Signer {
	t.Helper()
	text, err := key.PEM()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: key.KID()}},
		(&jose.SignerOptions{}).WithType(jose.ContentType(kind)))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func (m *receiptMaker) receipt(t *testing.T, sign jose.Signer, change func(int64, *watchword.Claims)) string {
	t.Helper()
	now := time.Now().Unix()
	c := watchword.Claims{Issuer: "https://verify.example.com", Audience: "shop", Subject: "user_42", ID: "ch_1", IssuedAt: now, AuthTime: now,
		ExpiresAt: now + 300, Purpose: "sign_in", Strategy: "totp", Nonce: "session-7f3a"}
	change(now, &c)
	token, err := jwt.Signed(sign).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// verifyReceipts runs a program whose arguments are receipts, and which prints a line for each: accepted, or why not.
func verifyReceipts(t *testing.T, m *receiptMaker, program ...string) {
	t.Helper()
	cases := receiptCases()
	var tokens []string
	for _, c := range cases {
		tokens = append(tokens, m.receipt(t, m.sign, c.change))
	}
	unchanged := func(int64, *watchword.Claims) {}
	cases = append(cases, receiptCase{"another kind of token", nil, false}, receiptCase{"signed by another server", nil, false})
	tokens = append(tokens, m.receipt(t, m.asAnother, unchanged), m.receipt(t, newReceiptMaker(t).sign, unchanged))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, program[0], append(program[1:len(program):len(program)], tokens...)...).CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err != nil || len(lines) != len(cases) {
		t.Fatalf("%v: %s", err, out)
	}
	for n, c := range cases {
		if accepted := lines[n] == "accepted user_42"; accepted != c.accept {
			t.Errorf("%s: %s", c.name, lines[n])
		}
	}
}

// writeSnippet writes a program of a snippet, whose keys come from the maker.
func writeSnippet(t *testing.T, m *receiptMaker, folder, name string, parts ...string) string {
	t.Helper()
	const published = "https://verify.example.com/.well-known/jwks.json"
	text := strings.Join(parts, "\n")
	if !strings.Contains(text, published) {
		t.Fatalf("the snippet takes its keys from another place than %s", published)
	}
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, published, m.keys.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestJavaScriptOfTheDocumentationVerifiesReceipts(t *testing.T) {
	t.Parallel()
	const library = "jose@6.2.18"
	folder := t.TempDir()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("%s is not installed, so the JavaScript of docs/receipts.md was NOT run", tool)
		}
	}
	install := exec.CommandContext(t.Context(), "npm", "install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund", library)
	if out, err := install.CombinedOutput(); err != nil {
		t.Skipf("%s cannot be fetched here, so the JavaScript of docs/receipts.md was NOT run: %v %.200s", library, err, out)
	}
	m := newReceiptMaker(t)
	imports, rest, found := strings.Cut(snippet(t, "js", "jwtVerify"), "\n\n")
	if !found {
		t.Fatal("the snippet does not begin with its imports")
	}
	program := writeSnippet(t, m, folder, "verify.mjs", imports, `const session = { nonce: "session-7f3a" };
for (const token of process.argv.slice(2)) try {`, rest, `console.log("accepted", payload.sub); } catch (e) { console.log(e.code ?? e.message) }`)
	verifyReceipts(t, m, "node", program)
}

func TestPythonOfTheDocumentationVerifiesReceipts(t *testing.T) {
	python := ""
	for _, name := range []string{"python3", "/usr/bin/python3"} { // Debian's libraries are for Debian's own Python
		if exec.CommandContext(t.Context(), name, "-c", "import jwt, cryptography").Run() == nil {
			python = name
		}
	}
	if python == "" {
		t.Skip("there is no Python with PyJWT and cryptography (apt-get install python3-jwt python3-cryptography), so the Python of docs/receipts.md was NOT run")
	}
	m := newReceiptMaker(t)
	program := writeSnippet(t, m, t.TempDir(), "verify.py", snippet(t, "python", "PyJWKClient"), `import sys
for token in sys.argv[1:]:
    try:
        print("accepted", verify(token, {"nonce": "session-7f3a"})["sub"])
    except Exception as e:
        print(repr(e))`)
	verifyReceipts(t, m, python, program)
}

// The Go of the documentation is that of the tests of receipt.
func TestGoOfTheDocumentationIsTested(t *testing.T) {
	for file, holds := range map[string]string{"otherlibrary_test.go": "func verifyWithJOSE", "golangjwt_test.go": "func verifyWithGolangJWT"} {
		if !strings.Contains(readDoc(t, "../../receipt/"+file), snippet(t, "go", holds)) {
			t.Errorf("docs/receipts.md shows another %s than receipt/%s", holds, file)
		}
	}
}
