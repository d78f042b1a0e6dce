package receipt_test

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A program that imports the package links the JWT library, the root package and the standard library.
func TestPackageDependsOnJWTLibraryOnly(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range file.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Fatal(err)
			}
			host, _, _ := strings.Cut(path, "/")
			switch {
			case !strings.Contains(host, "."), path == "github.com/golang-jwt/jwt/v5", path == "github.com/watchword-auth/watchword":
			default:
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
}
