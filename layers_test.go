package watchword_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// These tests hold the layers: imports go down only, neighbors do not import each other, a library is imported by one
// package, an importer of one package does not link another, and a plug-in is named in wire.go alone.

const (
	modulePath = "github.com/watchword-auth/watchword"
	wireFile   = "cmd/watchword/wire.go"
)

// packagesOfLibrary lists the packages that may import a library, with what is below them.
var packagesOfLibrary = map[string][]string{
	"github.com/pquerna/otp":                  {"otp/totp"},
	"github.com/go-webauthn/webauthn":         {"webauthn"},
	"github.com/twilio/twilio-go":             {"delivery/twilio"},
	"github.com/redis/go-redis":               {"store/redis", "ratelimit/redis", "delivery/redis", "internal", "cmd/watchword-bench", wireFile},
	"github.com/ulule/limiter":                {"ratelimit"},
	"github.com/wneessen/go-mail":             {"delivery/smtp"},
	"github.com/nyaruka/phonenumbers":         {"delivery"},
	"github.com/golang-jwt/jwt":               {"receipt"},
	"github.com/danielgtaylor/huma":           {"server"},
	"modernc.org/sqlite":                      {"store/sql/sqlite"},
	"github.com/jackc/pgx":                    {"store/sql/postgres"},
	"github.com/spf13/cobra":                  {"cmd"},
	"github.com/prometheus/client_golang":     {"cmd"},
	"go.yaml.in/yaml":                         {"cmd"},
	"go.opentelemetry.io":                     {"cmd"},
	"github.com/realclientip/realclientip-go": {"server"},
	"github.com/tdewolff/minify":              {"server"},
	"github.com/andybalholm/brotli":           {"server"},
}

// heavyLibraries are linked only by programs that import the package that needs them.
var heavyLibraries = []string{
	"github.com/redis/go-redis", "github.com/go-webauthn/webauthn", "github.com/twilio/twilio-go", "modernc.org/sqlite",
	"github.com/jackc/pgx", "github.com/prometheus/client_golang", "github.com/spf13/cobra", "go.opentelemetry.io",
}

// lightPackages need none of them.
var lightPackages = []string{"", "otp", "receipt", "ratelimit", "delivery", "store/memory", "server", "magiclink", "device", "service", "client"}

// partsOfService are the packages that package service puts together for users of the library. It names no plug-in.
var partsOfService = []string{"delivery", "ratelimit", "receipt"}

// namedPackages are no plug-ins: the program may name them.
var namedPackages = []string{"", "ratelimit", "delivery", "receipt", "server", "service", "store/sql"}

// sharedByExamples is the stylesheet of the example apps. Nobody else imports it.
const sharedByExamples = "examples/style"

// A listedPackage is a package as go list prints it. Its folder is relative to the module; the root's is empty.
type listedPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func (p listedPackage) folder() string { return folderOf(p.ImportPath) }

func folderOf(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, modulePath), "/")
}

func TestImportsGoDownOnly(t *testing.T) {
	for _, p := range listPackages(t) {
		for _, imported := range p.Imports {
			if why := refuseImport(p.folder(), imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

func TestRefuseImportKnowsTheLayers(t *testing.T) {
	ours := func(folder string) string { return modulePath + "/" + folder }
	for _, c := range []struct {
		folder, imported string
		refused          bool
	}{
		{"", "crypto/hmac", false},
		{"", ours("internal/wait"), false},
		{"", ours("otp"), true},
		{"", "golang.org/x/crypto/argon2", true},
		{"otp", modulePath, false},
		{"otp", ours("delivery"), true},
		{"otp/totp", ours("otp"), false},
		{"otp/totp", ours("otp/recovery"), true},
		{"store/redis", ours("store/memory"), true},
		{"store/redis", ours("internal/script"), false},
		{"store/sql/sqlite", ours("store/sql"), false},
		{"store/sql", ours("store/sql/sqlite"), true},
		{"delivery", ours("delivery/twilio"), true},
		{"delivery/smtp", ours("delivery"), false},
		{"delivery/smtp", ours("delivery/webhook"), true},
		{"server", ours("receipt"), true},
		{"server", ours("server/internal/pages"), false},
		{"otp", ours("server/internal/pages"), true},
		{"internal/script", ours("store/redis"), true},
		{"cmd/watchword", ours("server"), false},
		{"examples/mfa", ours("cmd/watchword"), true},
		{"examples/mfa", ours("store/memory"), false},
		{"service", ours("delivery"), false},
		{"service", ours("delivery/smtp"), true},
		{"service", ours("server"), true},
		{"service", ours("otp"), true},
		{"server", ours("service"), true},
		{"examples/mfa", ours("examples/style"), false},
		{"examples/mfa", ours("examples/webapp"), true},
		{"server", ours("examples/style"), true},
	} {
		if why := refuseImport(c.folder, c.imported); (why != "") != c.refused {
			t.Errorf("%q importing %q: refused %t (%s), want %t", c.folder, c.imported, why != "", why, c.refused)
		}
	}
}

// refuseImport returns the reason why a package must not import another; empty if it may.
func refuseImport(folder, imported string) string {
	below, own := strings.CutPrefix(imported+"/", modulePath+"/")
	below = strings.TrimSuffix(below, "/")
	if !own {
		if first, _, _ := strings.Cut(imported, "/"); folder == "" && strings.Contains(first, ".") {
			return "the root imports the standard library only"
		}
		return ""
	}
	top := isProgram(folder)
	switch {
	case below == sharedByExamples && isWithin(folder, "examples"):
		return ""
	case isWithin(below, "cmd"), isWithin(below, "examples"):
		return "a program is imported by nobody"
	case top:
		return ""
	case folder == "" && !isWithin(below, "internal"):
		return "the root imports the standard library and what is internal only"
	case below == "" || isWithin(below, "internal"):
		return ""
	case isWithin(folder, "internal"):
		return "an internal package imports the root only"
	case folder == "service" && slices.Contains(partsOfService, below):
		return ""
	case strings.Contains(below, "/internal/") && packageGroup(below) == packageGroup(folder):
		return ""
	case packageGroup(below) != packageGroup(folder):
		return "neighbors do not import each other"
	case below != path.Dir(folder):
		return "a sub-package imports its parent, a parent none of its sub-packages"
	}
	return ""
}

// packageGroup returns the package of layer 1 that a folder belongs to: the first part of its path, of store/ the first two.
func packageGroup(folder string) string {
	parts := strings.SplitN(folder, "/", 3)
	if parts[0] == "store" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

func isProgram(folder string) bool {
	return isWithin(folder, "cmd") || isWithin(folder, "examples")
}

func isWithin(folder, ancestor string) bool {
	return folder == ancestor || strings.HasPrefix(folder, ancestor+"/")
}

func TestLibrariesAreImportedByTheirPackageOnly(t *testing.T) {
	visitFiles(t, func(folder, file string, syntax *ast.File) {
		for _, spec := range syntax.Imports {
			for library, importers := range packagesOfLibrary {
				if !isWithin(strings.Trim(spec.Path.Value, `"`), library) {
					continue
				}
				if !slices.ContainsFunc(importers, func(importer string) bool { return file == importer || isWithin(folder, importer) }) {
					t.Errorf("%s imports %s, which is imported by %v only", file, library, importers)
				}
			}
		}
	})
}

// The root may import an internal package that imports the standard library only.
func TestRootLinksTheStandardLibraryOnly(t *testing.T) {
	for _, dependency := range strings.Fields(string(runGo(t, "list", "-deps", "."))) {
		first, _, _ := strings.Cut(dependency, "/")
		if folder := folderOf(dependency); strings.Contains(first, ".") && folder != "" && !isWithin(folder, "internal") {
			t.Errorf("an importer of the root links %s", dependency)
		}
	}
}

func TestLightPackagesLinkNoHeavyLibrary(t *testing.T) {
	for _, light := range lightPackages {
		if !slices.ContainsFunc(listPackages(t), func(p listedPackage) bool { return p.folder() == light }) {
			continue
		}
		for _, dependency := range strings.Fields(string(runGo(t, "list", "-deps", "./"+light))) {
			for _, heavy := range heavyLibraries {
				if isWithin(dependency, heavy) {
					t.Errorf("an importer of %s links %s", path.Join(modulePath, light), dependency)
				}
			}
		}
	}
}

// A plug-in is named in its own folder, in tests and examples, and otherwise in exactly one file.
func TestPluginsAreNamedInOneFile(t *testing.T) {
	var plugins, suites []string
	for _, p := range listPackages(t) {
		if slices.Contains(p.Imports, "testing") { // conformance suites
			suites = append(suites, p.folder())
		} else if isPlugin(p.folder()) {
			plugins = append(plugins, p.folder())
		}
	}
	wired := map[string]bool{}
	visitFiles(t, func(folder, file string, syntax *ast.File) {
		if isWithin(folder, "examples") {
			return
		}
		for _, text := range stringLiterals(syntax) {
			for _, plugin := range plugins {
				switch {
				case text != modulePath+"/"+plugin, isWithin(folder, plugin), slices.Contains(suites, folder):
				case file == wireFile:
					wired[plugin] = true
				default:
					t.Errorf("%s names %s; only %s does", file, plugin, wireFile)
				}
			}
		}
	})
	for _, plugin := range plugins {
		shared := slices.ContainsFunc(plugins, func(p string) bool { return path.Dir(p) == plugin }) // by the plug-ins below it
		if !wired[plugin] && !shared {
			t.Errorf("%s is not wired: name it in %s", plugin, wireFile)
		}
	}
}

// isPlugin reports whether a package is neither named by the program, nor internal, nor a program, nor a client of the HTTP API.
func isPlugin(folder string) bool {
	return !slices.Contains(namedPackages, folder) && !isProgram(folder) && !isWithin(folder, "client") && !isWithin(folder, "clients") &&
		!slices.Contains(strings.Split(folder, "/"), "internal")
}

// stringLiterals returns all string literals of a file, its imports included.
func stringLiterals(syntax *ast.File) (texts []string) {
	ast.Inspect(syntax, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			texts = append(texts, strings.Trim(literal.Value, "\"`"))
		}
		return true
	})
	return texts
}

// visitFiles parses every file that is no test.
func visitFiles(t *testing.T, visit func(folder, file string, syntax *ast.File)) {
	t.Helper()
	for _, p := range listPackages(t) {
		for _, name := range p.GoFiles {
			file := path.Join(p.folder(), name)
			syntax, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			visit(p.folder(), file, syntax)
		}
	}
}

func listPackages(t *testing.T) (packages []listedPackage) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(runGo(t, "list", "-e", "-json=ImportPath,Imports,GoFiles", "./...")))
	for {
		var p listedPackage
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return packages
		}
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func runGo(t *testing.T, args ...string) []byte {
	t.Helper()
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		t.Fatalf("go %s: %v", strings.Join(args, " "), err)
	}
	return out
}
