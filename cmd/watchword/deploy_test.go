package main

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/redistest"
)

const deployDir = "../../deploy"

// program returns the path of a program, or skips the test.
func program(t *testing.T, name, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			t.Skipf("%s is not installed (Debian, Ubuntu: apt-get install %s)", name, debianPackage)
		}
	}
	return path
}

// replaceAll replaces texts that must occur.
func replaceAll(t *testing.T, text string, replacements ...string) string {
	t.Helper()
	for i := 0; i < len(replacements); i += 2 {
		if !strings.Contains(text, replacements[i]) {
			t.Fatalf("there is no %q in\n%s", replacements[i], text)
		}
		text = strings.ReplaceAll(text, replacements[i], replacements[i+1])
	}
	return text
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Two servers with the rights of deploy/redis-users.example, behind the nginx of deploy/nginx: people sign in over TLS, also when one of
// the servers has ended.
func TestNginxConfigurationServesTwoServers(t *testing.T) {
	t.Parallel()
	nginx := program(t, "nginx", "nginx-light")
	dir := t.TempDir()
	redis := redistest.Start(t)
	_, user, _ := strings.Cut(readDoc(t, deployDir+"/redis-users.example"), "user watchword ")
	password := rand.Text()
	user = replaceAll(t, user, "PASSWORD", password)
	command := []any{"acl", "setuser", "watchword"}
	for _, right := range strings.Fields(user) {
		command = append(command, right)
	}
	if err := redis.Client(t).Do(t.Context(), command...).Err(); err != nil {
		t.Fatal(err)
	}
	codes := startCodeReceiver(t, httptest.NewTLSServer)
	config := writeProductionConfig(t, strings.Replace(redis.URL(), "redis://", "redis://watchword:"+password+"@", 1),
		"trusted_proxies: [127.0.0.0/8]\napps:\n  - id: shop\n    keys: [{sha256: "+apiKeyDigest("quiet")+", scopes: [challenges]}]\n    send: {email: [\""+codes.senderURL()+"\"]}\n")
	environment := []string{"SSL_CERT_FILE=" + writeCertificate(t, codes.Server)}
	a, b := startServer(t, environment, "--config", config), startServer(t, environment, "--config", config)

	certificate, key := writeServerKey(t, codes.Server)
	tlsAddress, plainAddress := freeport.Address(t), freeport.Address(t)
	site := replaceAll(t, readDoc(t, deployDir+"/nginx/watchword.conf"), "10.0.0.1:8080", strings.TrimPrefix(a.url, "http://"), "10.0.0.2:8080", strings.TrimPrefix(b.url, "http://"),
		"/etc/ssl/verify.shop.example.pem", certificate, "server_name verify.shop.example", "server_name example.com", "/etc/ssl/verify.shop.example.key", key, "listen 443 ssl", "listen "+tlsAddress+" ssl", "listen 80", "listen "+plainAddress)
	startNginx(t, nginx, dir, site, tlsAddress)

	front := *a
	front.url, front.key = "https://"+tlsAddress, "quiet"
	front.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trustOnly(codes.Server), ServerName: "example.com"}, IdleConnTimeout: 10 * time.Second}}
	app := quietApp{node: &front, codes: codes}
	for person := range 4 {
		if err := app.signIn(person + 1); err != nil {
			t.Error(err)
		}
	}
	b.stop()
	for person := range 4 {
		if err := app.signIn(person + 10); err != nil {
			t.Errorf("while one server is away: %v", err)
		}
	}
}

// startNginx runs nginx in the foreground until the test ends.
func startNginx(t *testing.T, program, dir, site, address string) {
	t.Helper()
	path := filepath.Join(dir, "nginx.conf")
	writeFile(t, path, "daemon off; worker_processes 1; pid "+dir+"/nginx.pid; error_log stderr;\nevents {}\nhttp {\n  access_log off;\n"+
		"  client_body_temp_path "+dir+"/body; proxy_temp_path "+dir+"/proxy; fastcgi_temp_path "+dir+"/f; uwsgi_temp_path "+dir+"/u; scgi_temp_path "+dir+"/s;\n"+site+"\n}\n")
	if out, err := exec.CommandContext(t.Context(), program, "-t", "-c", path, "-p", dir).CombinedOutput(); err != nil {
		t.Fatalf("nginx -t: %v\n%s", err, out)
	}
	cmd := exec.Command(program, "-c", path, "-p", dir)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // if it was killed, its workers would go on
		_ = cmd.Wait()
	})
	waitFor(t, "listening", func() string {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err != nil {
			return err.Error()
		}
		_ = conn.Close()
		return "listening"
	})
}

// writeServerKey writes a test server's certificate and private key to files.
func writeServerKey(t *testing.T, server *httptest.Server) (certificate, key string) {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(server.TLS.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	key = filepath.Join(t.TempDir(), "key.pem")
	writeFile(t, key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return writeCertificate(t, server), key
}

func trustOnly(server *httptest.Server) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	return pool
}

func TestCaddyfilesAreValid(t *testing.T) {
	t.Parallel()
	caddy := program(t, "caddy", "caddy")
	for _, name := range []string{"Caddyfile", "Caddyfile.compose"} {
		cmd := exec.CommandContext(t.Context(), caddy, "validate", "--adapter", "caddyfile", "--config", filepath.Join(deployDir, name))
		cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, out)
		}
	}
}

func TestSystemdUnitIsValid(t *testing.T) {
	t.Parallel()
	analyze := program(t, "systemd-analyze", "systemd")
	unit := filepath.Join(t.TempDir(), "watchword.service")
	writeFile(t, unit, replaceAll(t, readDoc(t, deployDir+"/systemd/watchword.service"), "/usr/bin/watchword", "/bin/true", "User=watchword", "User=daemon", "Group=watchword", "Group=daemon"))
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), "watchword.service") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestComposeFileIsValid(t *testing.T) {
	t.Parallel()
	options, err := cli.NewProjectOptions([]string{deployDir + "/compose.yaml"}, cli.WithInterpolation(true))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	server, err := project.GetService("watchword")
	if err != nil {
		t.Fatal(err)
	}
	if *server.StopGracePeriod < 45_000_000_000 || !server.ReadOnly || len(server.Secrets) != 3 {
		t.Errorf("%+v", server)
	}
	database, err := project.GetService("database")
	if err != nil {
		t.Fatal(err)
	}
	if user := database.Environment["POSTGRES_USER"]; user != nil || !slices.ContainsFunc(database.Volumes, func(v types.ServiceVolumeConfig) bool {
		return filepath.Base(v.Source) == "postgres-roles.sh" && v.Target == "/docker-entrypoint-initdb.d/roles.sh"
	}) {
		t.Error("the server would connect as the superuser of PostgreSQL")
	}
	config := readDoc(t, deployDir+"/watchword.yaml.compose")
	for _, secret := range server.Secrets {
		if !strings.Contains(config, "/run/secrets/"+secret.Source) {
			t.Errorf("the configuration does not name the secret %s", secret.Source)
		}
	}
}

// The configurations of deploy/ pass check-config when what they name is there.
func TestConfigurationsOfDeployAreAccepted(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"watchword.yaml", "watchword.yaml.compose"} {
		dir := t.TempDir()
		createKeys(t, filepath.Join(dir, "keys"), "1")
		for file, url := range map[string]string{"redis-url": "redis://127.0.0.1:1", "database-url": "postgres://u:" + eventsSecret + "@127.0.0.1/watchword", "smtp-url": "smtps://smtp.example.com?from=a@example.com"} {
			writeFile(t, filepath.Join(dir, file), url)
		}
		text := readDoc(t, filepath.Join(deployDir, name))
		text = replaceAll(t, text, strings.Repeat("0", 64), apiKeyDigest("wk_"+rand.Text()))
		text = strings.NewReplacer("/run/secrets/redis_url", "redis-url", "/run/secrets/database_url", "database-url", "/run/secrets/smtp_url", "smtp-url", "/etc/watchword/keys/", "keys/").Replace(text)
		path := filepath.Join(dir, "watchword.yaml")
		writeFile(t, path, text)
		cmd := checkConfigCommand()
		cmd.SetArgs([]string{"--config", path})
		cmd.SetOut(&strings.Builder{})
		if err := cmd.ExecuteContext(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The rights in deploy/redis-users.example are those of docs/operating.md, which TestDocumentedRedisRightsAreMinimal tries.
func TestRedisUsersOfDeployAreTheDocumentedOnes(t *testing.T) {
	rights := func(text string) []string {
		found := regexp.MustCompile(`[+~][^\s]+`).FindAllString(text, -1)
		slices.Sort(found)
		return slices.Compact(found)
	}
	_, documented, _ := strings.Cut(readDoc(t, "../../docs/operating.md"), "ACL SETUSER watchword on")
	documented, _, _ = strings.Cut(documented, "```")
	if got, want := rights(readDoc(t, deployDir+"/redis-users.example")), rights(documented); !slices.Equal(got, want) {
		t.Errorf("%v, documented are %v", got, want)
	}
}

// The user of the image, who is nobody in particular, makes keys and serves with them, with nothing but the rights of its folder.
func TestUserOfImageMakesKeysAndServes(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can become another user")
	}
	setpriv := program(t, "setpriv", "util-linux")
	const user = 65532
	installed, err := exec.LookPath("watchword")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "image") // TempDir's parents are closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	binary, keys := filepath.Join(dir, "watchword"), filepath.Join(dir, "keys")
	text, err := os.ReadFile(installed)
	if err := errors.Join(err, os.Chmod(dir, 0o755), os.WriteFile(binary, text, 0o755), os.Mkdir(keys, 0o700), os.Chown(keys, user, user)); err != nil {
		t.Fatal(err)
	}
	asUser := func(arguments ...string) *exec.Cmd {
		options := []string{"--reuid", strconv.Itoa(user), "--regid", strconv.Itoa(user), "--clear-groups", "--no-new-privs", "--bounding-set", "-all", binary}
		return exec.CommandContext(t.Context(), setpriv, append(options, arguments...)...)
	}
	if out, err := asUser("keys", "new", "--dir", keys, "--name", "1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := filepath.Join(dir, "watchword.yaml")
	writeFile(t, config, "listen: 127.0.0.1:0\nredis: \""+redistest.Start(t).URL()+"\"\nkeyring: [{id: \"1\", secret_file: keys/keyring-1.key}]\nidentity_key_file: keys/identity.key\n"+
		"signing: [{kid: \"1\", key_file: keys/signing-1.pem}]\napps: [{id: shop, public_url: \"https://verify.example.com\", keys: [{sha256: "+apiKeyDigest("wk_"+rand.Text())+", scopes: [challenges]}],"+
		" send: {email: [\"smtps://smtp.example.com?from=a@example.com\"]}}]\n")
	if err := os.Chmod(config, 0o644); err != nil {
		t.Fatal(err)
	}
	server := asUser("serve", "--config", config)
	log := &syncBuffer{}
	server.Stderr = struct{ io.Writer }{log} // without the methods of the buffer inside, which do not lock
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	waitFor(t, "listening", func() string {
		if strings.Contains(log.String(), `"msg":"listening"`) {
			return "listening"
		}
		return log.String()
	})
}
