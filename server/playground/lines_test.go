package playground_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A line is a request as the page writes it.
type line struct{ Curl, TypeScript, Go, Receipt string }

// shownLines are the lines that the journeys have shown, the oldest first.
type shownLines struct {
	mu     sync.Mutex
	lines  []line
	setups line
}

// keepLines keeps the lines that the page shows now, in each language.
func (p *tab) keepLines() {
	p.t.Helper()
	var languages [3][]string
	var setups [3]string
	for i, name := range []string{"curl", "typescript", "go"} {
		p.evaluate(`document.querySelector("[name=language][value=` + name + `]").click()`)
		p.decode(`[...document.querySelectorAll("#requests .line pre")].map(p => p.textContent).reverse()`, &languages[i])
		p.decode(`setup.hidden ? "" : setup.querySelector("pre").textContent`, &setups[i])
	}
	receipt := p.evaluate(`document.querySelector("#receipt details pre")?.textContent ?? ""`)
	p.shown.mu.Lock()
	defer p.shown.mu.Unlock()
	for i := range languages[0] {
		p.shown.lines = append(p.shown.lines, line{languages[0][i], languages[1][i], languages[2][i], receipt})
	}
	if setups[1] != "" {
		p.shown.setups = line{Curl: setups[0], TypeScript: setups[1], Go: setups[2]}
	}
}

func (p *tab) decode(expression string, into any) {
	p.t.Helper()
	if err := json.Unmarshal([]byte(p.evaluate("JSON.stringify("+expression+")")), into); err != nil {
		p.t.Fatal(err)
	}
}

// requireSameRequests runs the commands of curl, the lines of the TypeScript client and those of the Go client against a server that
// writes down what arrives, and requires the same of all. Receipts are verified with the keys of the development server at origin.
func (s *shownLines) requireSameRequests(t *testing.T, origin string) {
	if len(s.lines) < 40 {
		t.Fatalf("%d lines were shown", len(s.lines))
	}
	r := newRecorder(t)
	var script strings.Builder
	for _, one := range s.lines {
		fmt.Fprintf(&script, "curl -sS %s/next\n%s\n", r.url, strings.Replace(one.Curl, origin, r.url, 1))
	}
	want := r.requestsOf("sh", "-c", script.String())
	for name, write := range map[string]func(t *testing.T, origin, recorder string) (command []string){"Go": s.writeGo, "TypeScript": s.writeTypeScript} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRecorder(t)
			command := write(t, origin, r.url)
			got := r.requestsOf(command[0], command[1:]...)
			if len(got) != len(s.lines) || len(want) != len(s.lines) {
				t.Fatalf("%d of %d lines ran, %d of curl", len(got), len(s.lines), len(want))
			}
			for i, one := range s.lines {
				if strings.Contains(one.Curl, "/.well-known/jwks.json") {
					if len(got[i]) != 0 { // the verifier asks the development server
						t.Errorf("%s\nsends %q", one.Curl, got[i])
					}
				} else if len(want[i]) != 1 || !slices.Equal(got[i], want[i]) {
					t.Errorf("%s%s\nsends %q, want %q as of\n%s", one.Go, one.TypeScript, got[i], want[i], one.Curl)
				}
			}
		})
	}
}

// A recorder is a server that writes down requests and responds with something that clients accept.
type recorder struct {
	t        *testing.T
	url      string
	mu       sync.Mutex
	requests [][]string // of each line
}

func newRecorder(t *testing.T) *recorder {
	r := &recorder{t: t}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		r.add(req, body)
		var sent struct{ Purpose string }
		_ = json.Unmarshal(body, &sent)
		w.Header().Set("Content-Type", "application/json")
		switch {
		case req.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
		case req.URL.Path == "/inbox/messages":
			_, _ = io.WriteString(w, "[]")
		default:
			_, _ = fmt.Fprintf(w, `{"status": "approved", "receipt": "eyJ", "jti": "ch_1", "purpose": %q, "factors": []}`, sent.Purpose)
		}
	}))
	t.Cleanup(server.Close)
	r.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return r
}

// add writes down a request. GET /next begins those of the next line.
func (r *recorder) add(req *http.Request, body []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.URL.Path == "/next" {
		r.requests = append(r.requests, nil)
		return
	}
	last := &r.requests[len(r.requests)-1]
	*last = append(*last, req.Method+" "+req.URL.Path+"?"+req.URL.Query().Encode()+" "+req.Header.Get("Authorization")+" "+normalize(body))
}

// normalize sorts the members of a body, and leaves out what a passkey has answered.
func normalize(body []byte) string {
	var members map[string]any
	if json.Unmarshal(body, &members) != nil {
		return string(body)
	}
	if _, ok := members["answer"].(map[string]any); ok {
		members["answer"] = "a credential"
	}
	text, _ := json.Marshal(members)
	return string(text)
}

// requestsOf runs a command and returns the requests of each line.
func (r *recorder) requestsOf(name string, args ...string) [][]string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), 2*time.Minute)
	defer cancel()
	if out, err := exec.CommandContext(ctx, name, args...).CombinedOutput(); err != nil {
		r.t.Fatalf("%v %s", err, out)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

var assigned = regexp.MustCompile(`(?m)^(\w+), err := `)

// writeGo makes a program of all lines and returns the command that runs it.
func (s *shownLines) writeGo(t *testing.T, origin, recorder string) []string {
	imports, statements, _ := strings.Cut(s.setups.Go, "\n)\n")
	statements = strings.NewReplacer(`URL: "`+origin, `URL: "`+recorder, `NewInbox("`+origin, `NewInbox("`+recorder).Replace(statements)
	var text strings.Builder
	fmt.Fprintf(&text, "package main\n%s\n\"encoding/json\"\n\"net/http\"\n)\nfunc main() {\n%s\n_, _ = admin, err\ncredential := json.RawMessage(`{}`)\n", imports, statements)
	for _, one := range s.lines {
		name := assigned.FindStringSubmatch(one.Go)
		if name == nil {
			t.Fatalf("%s assigns nothing", one.Go)
		}
		fmt.Fprintf(&text, "next()\n{\napproved := &client.Approval{Receipt: %q}\n_ = approved\n{\n%s\n_ = %s\nrequire(err)\n}\n}\n", one.Receipt, one.Go, name[1])
	}
	fmt.Fprintf(&text, "}\nfunc next() {\nres, err := http.Get(%q)\nrequire(err)\nrequire(res.Body.Close())\n}\nfunc require(err error) {\nif err != nil {\npanic(err)\n}\n}\n",
		recorder+"/next")

	const path = "github.com/watchword-auth/watchword"
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	module := strings.Replace(readFile(t, filepath.Join(root, "go.mod")), "module "+path, "module lines", 1)
	folder := t.TempDir()
	writeFiles(t, folder, map[string]string{
		"main.go": text.String(),
		"go.mod":  module + "\nrequire " + path + " v0.0.0\nreplace " + path + " => " + root + "\n",
		"go.sum":  readFile(t, filepath.Join(root, "go.sum")),
	})
	if out, err := commandIn(t, folder, "go", "build", "-mod=mod", "-o", "lines", ".").CombinedOutput(); err != nil {
		t.Fatalf("%v %s\n%s", err, out, text.String())
	}
	return []string{filepath.Join(folder, "lines")}
}

// writeTypeScript compiles all lines against the package in clients/typescript and returns the command that runs them.
func (s *shownLines) writeTypeScript(t *testing.T, origin, recorder string) []string {
	folder := filepath.Join(t.TempDir(), "typescript")
	const source = "../../clients/typescript"
	if err := os.CopyFS(filepath.Join(folder, "src"), os.DirFS(filepath.Join(source, "src"))); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"package.json", "package-lock.json", "tsconfig.json"} {
		writeFiles(t, folder, map[string]string{name: readFile(t, filepath.Join(source, name))})
	}
	if out, err := commandIn(t, folder, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline").CombinedOutput(); err != nil {
		t.Skipf("npm packages cannot be fetched here, so the lines of TypeScript were NOT tested: %v %.300s", err, out)
	}
	setup := strings.NewReplacer(`baseUrl: "`+origin+`", app`, `baseUrl: "`+recorder+`", issuer: "`+origin+`", app`, `baseUrl: "`+origin, `baseUrl: "`+recorder).
		Replace(s.setups.TypeScript)
	var text strings.Builder
	fmt.Fprintf(&text, "%s\nimport type { Credential } from \"watchword-auth\";\nvoid admin;\nconst credential = {} as Credential;\n", setup)
	for _, one := range s.lines {
		fmt.Fprintf(&text, "await fetch(%q);\nawait (async (receipt: string) => {\nvoid receipt;\n{\n%s\n}\n})(%q);\n", recorder+"/next", one.TypeScript, one.Receipt)
	}
	writeFiles(t, folder, map[string]string{"src/lines.ts": text.String()})
	if out, err := commandIn(t, folder, "node", "node_modules/typescript/bin/tsc", "-p", ".", "--noUnusedLocals", "false").CombinedOutput(); err != nil {
		t.Fatalf("tsc: %v %s\n%s", err, out, text.String())
	}
	return []string{"node", filepath.Join(folder, "dist", "lines.js")}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFiles(t *testing.T, folder string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func commandIn(t *testing.T, folder, name string, args ...string) *exec.Cmd {
	command := exec.CommandContext(t.Context(), name, args...)
	command.Dir = folder
	return command
}
