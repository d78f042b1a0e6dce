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

// This file is the import law of the house, as tests: imports go down only, neighbours do not know each other, a
// library has one door, whoever imports one room does not link another, and a plug-in is named in wire.go alone.

const (
	floorsModule = "github.com/watchword-auth/watchword"
	floorsWire   = "cmd/watchword/wire.go"
)

// floorsDoors says behind which rooms a library stays.
var floorsDoors = map[string][]string{
	"github.com/pquerna/otp":                  {"otp/totp"},
	"github.com/go-webauthn/webauthn":         {"webauthn"},
	"github.com/twilio/twilio-go":             {"delivery/twilio"},
	"github.com/redis/go-redis":               {"store/redis", "ratelimit/redis", "delivery/redis", "internal", "cmd/watchword-bench", floorsWire},
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
	"github.com/realclientip/realclientip-go": {"server"},
}

// floorsHeavy is what nobody links who did not import the room that needs it.
var floorsHeavy = []string{
	"github.com/redis/go-redis", "github.com/go-webauthn/webauthn", "github.com/twilio/twilio-go", "modernc.org/sqlite",
	"github.com/jackc/pgx", "github.com/prometheus/client_golang", "github.com/spf13/cobra",
}

// floorsLight are the rooms that need none of it.
var floorsLight = []string{"", "otp", "receipt", "ratelimit", "delivery", "store/memory", "server", "magiclink"}

// floorsRooms are those that are no plug-ins: the program may know them by name.
var floorsRooms = []string{"", "ratelimit", "delivery", "receipt", "server", "store/sql"}

// A floorsPackage is what go list tells of a package. Its folder is relative to the module; the root's is empty.
type floorsPackage struct {
	ImportPath string
	Imports    []string
	GoFiles    []string
}

func (p floorsPackage) folder() string { return floorsFolder(p.ImportPath) }

func floorsFolder(importPath string) string {
	return strings.TrimPrefix(strings.TrimPrefix(importPath, floorsModule), "/")
}

func TestImportsGoDownOnly(t *testing.T) {
	for _, p := range floorsList(t) {
		for _, imported := range p.Imports {
			if why := floorsRefuse(p.folder(), imported); why != "" {
				t.Errorf("%s imports %s: %s", p.ImportPath, imported, why)
			}
		}
	}
}

// The law is only worth something if it refuses.
func TestImportLawRefuses(t *testing.T) {
	house := func(folder string) string { return floorsModule + "/" + folder }
	for _, c := range []struct {
		folder, imported string
		refused          bool
	}{
		{"", "crypto/hmac", false},
		{"", house("internal/wait"), false},
		{"", house("otp"), true},
		{"", "golang.org/x/crypto/argon2", true},
		{"otp", floorsModule, false},
		{"otp", house("delivery"), true},
		{"otp/totp", house("otp"), false},
		{"otp/totp", house("otp/recovery"), true},
		{"store/redis", house("store/memory"), true},
		{"store/redis", house("internal/script"), false},
		{"store/sql/sqlite", house("store/sql"), false},
		{"store/sql", house("store/sql/sqlite"), true},
		{"delivery", house("delivery/twilio"), true},
		{"delivery/smtp", house("delivery"), false},
		{"delivery/smtp", house("delivery/webhook"), true},
		{"server", house("receipt"), true},
		{"server", house("server/internal/pages"), false},
		{"otp", house("server/internal/pages"), true},
		{"internal/script", house("store/redis"), true},
		{"cmd/watchword", house("server"), false},
		{"examples/mfa", house("cmd/watchword"), true},
		{"examples/mfa", house("store/memory"), false},
	} {
		if why := floorsRefuse(c.folder, c.imported); (why != "") != c.refused {
			t.Errorf("%q importing %q: refused %t (%s), want %t", c.folder, c.imported, why != "", why, c.refused)
		}
	}
}

// floorsRefuse says why a package must not import another; empty if it may.
func floorsRefuse(folder, imported string) string {
	below, ours := strings.CutPrefix(imported+"/", floorsModule+"/")
	below = strings.TrimSuffix(below, "/")
	if !ours {
		if first, _, _ := strings.Cut(imported, "/"); folder == "" && strings.Contains(first, ".") {
			return "the root imports the standard library only"
		}
		return ""
	}
	top := floorsIsTop(folder)
	switch {
	case floorsWithin(below, "cmd"), floorsWithin(below, "examples"):
		return "nobody knows a program"
	case top:
		return ""
	case folder == "" && !floorsWithin(below, "internal"):
		return "the root imports the standard library and what is internal only"
	case below == "" || floorsWithin(below, "internal"):
		return ""
	case floorsWithin(folder, "internal"):
		return "what rooms share knows the root only"
	case strings.Contains(below, "/internal/") && floorsRoom(below) == floorsRoom(folder):
		return ""
	case floorsRoom(below) != floorsRoom(folder):
		return "neighbours do not know each other"
	case below != path.Dir(folder):
		return "a sub-folder knows its parent, a parent none of its sub-folders"
	}
	return ""
}

// floorsRoom is the folder that is one room of floor 1: the first part of a path, of store/ the first two.
func floorsRoom(folder string) string {
	parts := strings.SplitN(folder, "/", 3)
	if parts[0] == "store" && len(parts) > 1 {
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

func floorsIsTop(folder string) bool {
	return floorsWithin(folder, "cmd") || floorsWithin(folder, "examples")
}

func floorsWithin(folder, ancestor string) bool {
	return folder == ancestor || strings.HasPrefix(folder, ancestor+"/")
}

func TestLibrariesStayBehindTheirDoors(t *testing.T) {
	floorsEachFile(t, func(folder, file string, syntax *ast.File) {
		for _, spec := range syntax.Imports {
			for library, doors := range floorsDoors {
				if !floorsWithin(strings.Trim(spec.Path.Value, `"`), library) {
					continue
				}
				if !slices.ContainsFunc(doors, func(door string) bool { return file == door || floorsWithin(folder, door) }) {
					t.Errorf("%s imports %s, which stays in %v", file, library, doors)
				}
			}
		}
	})
}

// What the root needs and is no vocabulary of its users may be internal, if that needs nothing but the standard library.
func TestRootLinksTheStandardLibraryOnly(t *testing.T) {
	for _, dependency := range strings.Fields(string(floorsGo(t, "list", "-deps", "."))) {
		first, _, _ := strings.Cut(dependency, "/")
		if folder := floorsFolder(dependency); strings.Contains(first, ".") && folder != "" && !floorsWithin(folder, "internal") {
			t.Errorf("whoever imports the root links %s", dependency)
		}
	}
}

func TestWhatIsNotImportedIsNotLinked(t *testing.T) {
	for _, room := range floorsLight {
		if !slices.ContainsFunc(floorsList(t), func(p floorsPackage) bool { return p.folder() == room }) {
			continue
		}
		for _, dependency := range strings.Fields(string(floorsGo(t, "list", "-deps", "./"+room))) {
			for _, heavy := range floorsHeavy {
				if floorsWithin(dependency, heavy) {
					t.Errorf("whoever imports %s links %s", path.Join(floorsModule, room), dependency)
				}
			}
		}
	}
}

// A plug-in is named in its own folder, in tests and examples, and otherwise in exactly one file.
func TestPluginsAreNamedInOneFile(t *testing.T) {
	var plugins, suites []string
	for _, p := range floorsList(t) {
		if slices.Contains(p.Imports, "testing") { // what holds plug-ins to their promises
			suites = append(suites, p.folder())
		} else if floorsIsPlugin(p.folder()) {
			plugins = append(plugins, p.folder())
		}
	}
	wired := map[string]bool{}
	floorsEachFile(t, func(folder, file string, syntax *ast.File) {
		if floorsWithin(folder, "examples") {
			return
		}
		for _, text := range floorsTexts(syntax) {
			for _, plugin := range plugins {
				switch {
				case text != floorsModule+"/"+plugin, floorsWithin(folder, plugin), slices.Contains(suites, folder):
				case file == floorsWire:
					wired[plugin] = true
				default:
					t.Errorf("%s names %s; only %s does", file, plugin, floorsWire)
				}
			}
		}
	})
	for _, plugin := range plugins {
		shared := slices.ContainsFunc(plugins, func(p string) bool { return path.Dir(p) == plugin }) // by the plug-ins below it
		if !wired[plugin] && !shared {
			t.Errorf("%s is in no list: wire it in %s", plugin, floorsWire)
		}
	}
}

// floorsIsPlugin: what is neither a room that the program knows, nor shared, nor a program.
func floorsIsPlugin(folder string) bool {
	return !slices.Contains(floorsRooms, folder) && !floorsIsTop(folder) &&
		!slices.Contains(strings.Split(folder, "/"), "internal")
}

// floorsTexts are all the string literals of a file, its imports included.
func floorsTexts(syntax *ast.File) (texts []string) {
	ast.Inspect(syntax, func(n ast.Node) bool {
		if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			texts = append(texts, strings.Trim(literal.Value, "\"`"))
		}
		return true
	})
	return texts
}

// floorsEachFile parses every file that is no test.
func floorsEachFile(t *testing.T, visit func(folder, file string, syntax *ast.File)) {
	t.Helper()
	for _, p := range floorsList(t) {
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

func floorsList(t *testing.T) (packages []floorsPackage) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(floorsGo(t, "list", "-e", "-json=ImportPath,Imports,GoFiles", "./...")))
	for {
		var p floorsPackage
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

func floorsGo(t *testing.T, args ...string) []byte {
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
