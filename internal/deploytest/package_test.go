package deploytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/redistest"
)

const (
	packagesVariable = "WATCHWORD_PACKAGES" // a folder with one.deb, two.deb and one.rpm, two versions: scripts/packages.sh makes it
	configFolder     = "/etc/watchword"
	configFile       = configFolder + "/watchword.yaml"
	dataFolder       = "/var/lib/watchword"
	unitFile         = "/usr/lib/systemd/system/watchword.service"
)

// An installation is the Debian package on this machine.
type installation struct {
	t       *testing.T
	folder  string // of the packages
	address string // of the server
	key     string // an API key
	process *exec.Cmd
}

// TestDebianPackage takes the steps of docs/deploy.md on this machine, as root: installing, configuring, starting the unit's command line
// as its user, upgrading, going back, removing and purging. What a person has enrolled is there after each of them.
func TestDebianPackage(t *testing.T) {
	p := &installation{t: t, folder: os.Getenv(packagesVariable), address: freeport.Address(t)}
	if p.folder == "" {
		t.Skip(packagesVariable + " is not set: see scripts/packages.sh")
	}
	t.Setenv(packagesVariable, "") // the program refuses variables of this prefix that it does not know
	if err := os.Unsetenv(packagesVariable); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(configFolder); err == nil {
		t.Fatalf("%s exists: this machine has an installation, which the test would delete", configFolder)
	}
	t.Cleanup(func() { _ = exec.Command("dpkg", "--purge", "watchword").Run() })
	p.do("dpkg", "--install", p.folder+"/one.deb")
	for path, want := range map[string]string{configFolder: "root:watchword 750", configFolder + "/keys": "watchword:watchword 700", dataFolder: "watchword:watchword 700"} {
		if got := p.do("stat", "-c", "%U:%G %a", path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	first := p.do("watchword", "version")
	p.configure()
	p.start()
	p.enrolRecoveryCodes()
	enrolled := p.factors()
	p.stop()
	p.do("dpkg", "--install", p.folder+"/two.deb")
	if second := p.do("watchword", "version"); second == first {
		t.Errorf("both versions are %s", first)
	}
	p.runWith(enrolled, "after the upgrade")
	p.do("dpkg", "--install", p.folder+"/one.deb")
	if again := p.do("watchword", "version"); again != first {
		t.Errorf("the version is %s after going back to %s", again, first)
	}
	p.runWith(enrolled, "after going back")
	p.do("dpkg", "--remove", "watchword")
	for _, kept := range []string{configFile, configFolder + "/keys/identity.key", dataFolder + "/factors.db"} {
		if _, err := os.Stat(kept); err != nil {
			t.Errorf("after the removal: %v", err)
		}
	}
	p.do("dpkg", "--purge", "watchword")
	for _, gone := range []string{configFolder, dataFolder, unitFile, "/usr/bin/watchword"} {
		if _, err := os.Stat(gone); !os.IsNotExist(err) {
			t.Errorf("%s is there after the purge: %v", gone, err)
		}
	}
	if out, err := exec.Command("getent", "passwd", "watchword").Output(); err == nil {
		t.Errorf("the user is there after the purge: %s", out)
	}
}

// The RPM package has the same files, and scripts of the same effect. It is queried, not installed.
func TestRPMPackageHasTheFiles(t *testing.T) {
	folder := os.Getenv(packagesVariable)
	if folder == "" {
		t.Skip(packagesVariable + " is not set: see scripts/packages.sh")
	}
	rpm := program(t, "rpm", "rpm")
	query := func(what string) string {
		out, err := exec.CommandContext(t.Context(), rpm, "--query", what, "--package", folder+"/one.rpm").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return string(out)
	}
	files, scripts := query("--list"), query("--scripts")
	for _, want := range []string{"/usr/bin/watchword\n", unitFile + "\n", "/usr/share/doc/watchword/watchword.yaml\n"} {
		if !strings.Contains(files, want) {
			t.Errorf("no %s in\n%s", want, files)
		}
	}
	for _, want := range []string{"useradd --system", "install -d -o watchword", "systemctl disable --now watchword.service"} {
		if !strings.Contains(scripts, want) {
			t.Errorf("no %q in\n%s", want, scripts)
		}
	}
}

// do runs a command and returns what it prints.
func (p *installation) do(name string, arguments ...string) string {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), name, arguments...).CombinedOutput()
	if err != nil {
		p.t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// asUser returns a command of the unit's user, with no more rights than that user.
func (p *installation) asUser(command ...string) *exec.Cmd {
	return exec.Command("setpriv", append([]string{"--reuid", "watchword", "--regid", "watchword", "--clear-groups", "--no-new-privs"}, command...)...)
}

// configure makes keys and writes the configuration, as docs/deploy.md says. Redis, the mail server and the database are of this test.
func (p *installation) configure() {
	p.t.Helper()
	out, err := p.asUser("watchword", "keys", "new", "--dir", configFolder+"/keys", "--name", "1").CombinedOutput()
	if err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
	p.key = string(regexp.MustCompile(`(?m)^wk_\S+`).Find(out))
	digest := regexp.MustCompile(`sha256: ([0-9a-f]{64})`).FindSubmatch(out)
	if p.key == "" || digest == nil {
		p.t.Fatalf("keys new printed %s", out)
	}
	for name, url := range map[string]string{"redis-url": redistest.Start(p.t).URL(), "database-url": "sqlite://" + dataFolder + "/factors.db",
		"smtp-url": "smtp://" + startMailServer(p.t) + "?from=noreply@shop.example"} {
		path := writeFile(p.t, filepath.Join(configFolder, name), url)
		p.do("chown", "watchword:", path)
	}
	text, err := os.ReadFile("/usr/share/doc/watchword/watchword.yaml")
	if err != nil {
		p.t.Fatal(err)
	}
	config := strings.NewReplacer(strings.Repeat("0", 64), string(digest[1]), "listen: 127.0.0.1:8080", "listen: "+p.address, "metrics_listen: 127.0.0.1:9090\n", "").Replace(string(text))
	writeFile(p.t, configFile, config+"allowed_networks: [127.0.0.0/8]\n")
	p.do("chgrp", "watchword", configFile)
	p.do("chmod", "640", configFile)
}

// A mailServer accepts every connection and refuses mail.
type mailServer struct{}

func (mailServer) NewSession(*smtp.Conn) (smtp.Session, error) { return mailSession{}, nil }

type mailSession struct{}

func (mailSession) Reset()                               {}
func (mailSession) Logout() error                        { return nil }
func (mailSession) Mail(string, *smtp.MailOptions) error { return nil }
func (mailSession) Rcpt(string, *smtp.RcptOptions) error { return nil }
func (mailSession) Data(r io.Reader) error               { _, err := io.Copy(io.Discard, r); return err }

func startMailServer(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := smtp.NewServer(mailServer{})
	server.Domain = "localhost"
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

// start runs the command lines of the unit, as its user, and waits until the server is ready.
func (p *installation) start() {
	p.t.Helper()
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, line := range regexp.MustCompile(`(?m)^(ExecStartPre|ExecStart)=(.*)$`).FindAllSubmatch(unit, -1) {
		cmd := p.asUser(strings.Fields(string(line[2]))...)
		if string(line[1]) == "ExecStartPre" {
			if out, err := cmd.CombinedOutput(); err != nil {
				p.t.Fatalf("%s: %v\n%s", line[0], err, out)
			}
			continue
		}
		cmd.Stderr = os.Stderr
		if err := cmd.Start(); err != nil {
			p.t.Fatal(err)
		}
		p.process = cmd
		p.t.Cleanup(p.stop)
	}
	var out []byte
	for until := time.Now().Add(time.Minute); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		if out, err = exec.Command("watchword", "healthcheck", "--ready", "--config", configFile).CombinedOutput(); err == nil {
			return
		}
	}
	p.t.Fatalf("not ready: %v\n%s", err, out)
}

func (p *installation) stop() {
	if p.process == nil {
		return
	}
	_ = p.process.Process.Signal(syscall.SIGTERM)
	if err := p.process.Wait(); err != nil {
		p.t.Errorf("the server ended: %v", err)
	}
	p.process = nil
}

// runWith starts the server, and requires that it has these factors.
func (p *installation) runWith(enrolled, when string) {
	p.t.Helper()
	p.start()
	if got := p.factors(); got != enrolled {
		p.t.Errorf("%s: %s, before: %s", when, got, enrolled)
	}
	p.stop()
}

// call sends a request to the API and returns the body of the response.
func (p *installation) call(method, path, body string) []byte {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), method, "http://"+p.address+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+p.key)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode >= http.StatusBadRequest {
		p.t.Fatalf("%s %s: %d %s %v", method, path, response.StatusCode, text, err)
	}
	return text
}

func (p *installation) enrolRecoveryCodes() {
	p.t.Helper()
	var started struct {
		ID     string
		Public struct{ Codes []string }
	}
	if err := json.Unmarshal(p.call(http.MethodPost, "/v1/challenges", `{"strategy": "recovery", "purpose": "enrol", "subject": "ann"}`), &started); err != nil || len(started.Public.Codes) == 0 {
		p.t.Fatalf("%v: %+v", err, started)
	}
	p.call(http.MethodPost, "/v1/challenges/"+started.ID+"/check", fmt.Sprintf(`{"purpose": "enrol", "subject": "ann", "answer": %q}`, started.Public.Codes[0]))
}

// factors returns what ann has enrolled.
func (p *installation) factors() string {
	p.t.Helper()
	text := p.call(http.MethodGet, "/v1/factors?subject=ann", "")
	if !bytes.Contains(text, []byte(`"recovery"`)) {
		p.t.Errorf("nothing is enrolled: %s", text)
	}
	return string(text)
}
