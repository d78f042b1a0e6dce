package deploytest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/service"
	"github.com/watchword-auth/watchword/store/memory"
)

const deployDir = "../../deploy"

// clientAddress is the address that requests come from. The proxies connect to the servers from 127.0.0.1, which is trusted.
const clientAddress = "127.0.0.2"

// A backend is a server of watchword that notes the client's address of each request.
type backend struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string
}

func startBackend(t *testing.T) *backend {
	t.Helper()
	keys, errKeys := service.NewKeys()
	codes, errCodes := totp.New(totp.Config{Issuer: "Shop"})
	s, errService := service.New(service.Config{App: "shop", URL: "https://verify.shop.example", Keys: keys, Store: memory.New(memory.Config{}),
		Factors: &memory.Factors{}, Strategies: []watchword.Strategy{codes}})
	if err := errors.Join(errKeys, errCodes, errService); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	handler, err := server.New(server.Config{Apps: []server.App{{Engine: s.Engine, Signer: s.Signer, PublicURL: "https://verify.shop.example",
		Keys: []server.APIKey{{SHA256: [32]byte{1}, Scopes: []string{server.ScopeChallenges}}}}}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	if err != nil {
		t.Fatal(err)
	}
	b := &backend{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/client" {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.seen = append(b.seen, fmt.Sprintf("%s of %s", handler.ClientAddress(r), r.Host))
			return
		}
		w.WriteHeader(http.StatusOK) // the proxy asks whether the server is ready
	}))
	t.Cleanup(b.Close)
	return b
}

func (b *backend) address() string { return strings.TrimPrefix(b.URL, "http://") }

// program returns the path of a program, or skips the test.
func program(t *testing.T, name, debianPackage string) string {
	t.Helper()
	for _, path := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(path); err == nil {
			return found
		}
	}
	t.Skipf("%s is not installed (Debian, Ubuntu: apt-get install %s)", name, debianPackage)
	return ""
}

// readDeployed reads a file of deploy/ and replaces texts that must occur.
func readDeployed(t *testing.T, name string, replacements ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(deployDir, name))
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(text, replacements[i]) {
			t.Fatalf("%s has no %q", name, replacements[i])
		}
		text = strings.ReplaceAll(text, replacements[i], replacements[i+1])
	}
	return text
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a proxy until the test ends, and waits until it accepts connections.
func run(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { _ = cmd.Process.Signal(syscall.SIGTERM); <-ended }) // a killed nginx would leave its workers
	for until := time.Now().Add(30 * time.Second); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		if conn, err := net.DialTimeout("tcp", address, time.Second); err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ended:
			t.Fatalf("%s ended: %s", cmd.Path, log.String())
		default:
		}
	}
	t.Fatalf("%s does not listen", cmd.Path)
}

// get sends a request from clientAddress.
func get(t *testing.T, url string, roots *x509.CertPool, headers http.Header) {
	t.Helper()
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddress)}}
	transport := &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "example.com"}}
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header, req.Host = headers, "example.com"
	response, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s: %d", url, response.StatusCode)
	}
}

// wantClient requires that the servers see the client's own address, whatever its headers claim.
func wantClient(t *testing.T, url string, roots *x509.CertPool, backends ...*backend) {
	t.Helper()
	forged := []http.Header{
		{},
		{"X-Forwarded-For": {"198.51.100.7"}},
		{"X-Forwarded-For": {"198.51.100.7, 127.0.0.1"}},
		{"X-Forwarded-For": {"198.51.100.7", "198.51.100.8"}},
		{"X-Real-Ip": {"198.51.100.7"}, "Forwarded": {"for=198.51.100.7"}, "X-Forwarded-Host": {"evil.example"}},
	}
	for _, headers := range forged {
		get(t, url, roots, headers)
	}
	var seen []string
	for _, b := range backends {
		b.mu.Lock()
		seen = append(seen, b.seen...)
		b.mu.Unlock()
	}
	if len(seen) != len(forged) {
		t.Errorf("the servers got %d requests, want %d", len(seen), len(forged))
	}
	for _, client := range seen {
		if client != clientAddress+" of example.com" {
			t.Errorf("a server saw the client %s", client)
		}
	}
}

func skipWithoutLoopbackNetwork(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has all of 127.0.0.0/8")
	}
}

func TestNginxPassesTheClientsAddress(t *testing.T) {
	t.Parallel()
	skipWithoutLoopbackNetwork(t)
	nginx := program(t, "nginx", "nginx-light")
	a, b := startBackend(t), startBackend(t)
	certificates := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(certificates.Close)
	dir, address := t.TempDir(), freeport.Address(t)
	der, err := x509.MarshalPKCS8PrivateKey(certificates.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key := writeFile(t, filepath.Join(dir, "key.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	certificate := writeFile(t, filepath.Join(dir, "certificate.pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificates.Certificate().Raw})))
	site := readDeployed(t, "nginx/watchword.conf", "10.0.0.1:8080", a.address(), "10.0.0.2:8080", b.address(), "/etc/ssl/verify.shop.example.pem", certificate,
		"/etc/ssl/verify.shop.example.key", key, "server_name verify.shop.example", "server_name example.com", "listen 443 ssl", "listen "+address+" ssl", "listen 80", "listen "+freeport.Address(t))
	config := writeFile(t, filepath.Join(dir, "nginx.conf"), "daemon off; worker_processes 1; pid "+dir+"/nginx.pid; error_log stderr;\nevents {}\nhttp {\naccess_log off; client_body_temp_path "+
		dir+"/1; proxy_temp_path "+dir+"/2; fastcgi_temp_path "+dir+"/3; uwsgi_temp_path "+dir+"/4; scgi_temp_path "+dir+"/5;\n"+site+"}\n")
	run(t, address, exec.CommandContext(context.Background(), nginx, "-c", config, "-p", dir))
	roots := x509.NewCertPool()
	roots.AddCert(certificates.Certificate())
	wantClient(t, "https://"+address+"/client", roots, a, b)
}

func TestCaddyPassesTheClientsAddress(t *testing.T) {
	t.Parallel()
	skipWithoutLoopbackNetwork(t)
	caddy := program(t, "caddy", "caddy")
	for _, name := range []string{"Caddyfile", "Caddyfile.compose"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := startBackend(t), startBackend(t)
			address := freeport.Address(t)
			replacements := []string{"verify.shop.example {", "http://example.com:" + address[strings.LastIndex(address, ":")+1:] + " {"}
			if name == "Caddyfile" {
				replacements = append(replacements, "10.0.0.1:8080", a.address(), "10.0.0.2:8080", b.address())
			} else {
				replacements = append(replacements, "dynamic a watchword 8080 {\n\t\t\trefresh 2s\n\t\t}", "to "+a.address()+" "+b.address())
			}
			config := writeFile(t, filepath.Join(t.TempDir(), "Caddyfile"), "{\n\tadmin off\n\tdefault_bind 127.0.0.1\n}\n"+readDeployed(t, name, replacements...))
			cmd := exec.CommandContext(context.Background(), caddy, "run", "--adapter", "caddyfile", "--config", config)
			cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_DATA_HOME="+t.TempDir(), "XDG_CONFIG_HOME="+t.TempDir())
			run(t, address, cmd)
			wantClient(t, "http://"+address+"/client", nil, a, b)
		})
	}
}
