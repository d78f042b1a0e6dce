package main

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/delivery/webhook"
	"github.com/watchword-auth/watchword/server"
)

func readDoc(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The lines that the README shows are those that the development server prints, which paste.txtar runs.
func TestReadmeShowsTheLinesOfTheDevelopmentServer(t *testing.T) {
	readme := readDoc(t, "../../README.md")
	for _, lines := range []string{helloStart, helloCheck} {
		if shown := strings.ReplaceAll(lines, "URL", "http://localhost:8080"); !strings.Contains(readme, shown) {
			t.Errorf("the README does not show what the development server prints:\n%s", shown)
		}
	}
}

// Every setting is documented: each key of the file, each flag, each variable.
func TestEverySettingIsDocumented(t *testing.T) {
	doc := readDoc(t, "../../docs/configuration.md")
	for _, key := range keysOf(reflect.TypeFor[fileConfig]()) {
		if !strings.Contains(doc, "`"+key+"`") {
			t.Errorf("docs/configuration.md does not name the key %s", key)
		}
	}
	for _, o := range options() {
		names := []string{"`--" + o.flag, "`" + o.env + "`"}
		if o.secret {
			names = append(names, "`"+o.env+"_FILE`")
		}
		for _, name := range names {
			if !strings.Contains(doc, name) {
				t.Errorf("docs/configuration.md does not name %s", name)
			}
		}
	}
}

// keysOf lists the yaml names of a type and of what is in it.
func keysOf(t reflect.Type) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return keysOf(t.Elem())
	case reflect.Struct:
	default:
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if name := f.Tag.Get("yaml"); name != "" {
			keys = append(keys, name)
		}
		keys = append(keys, keysOf(f.Type)...)
	}
	return keys
}

// A promise is worth what its test is: every test that the security model names must exist.
func TestSecurityModelNamesExistingTests(t *testing.T) {
	t.Parallel()
	named := regexp.MustCompile("`(?:([a-z/]+)\\.)?((?:Test|Fuzz)[A-Za-z0-9]+)`")
	for _, m := range named.FindAllStringSubmatch(readDoc(t, "../../docs/security-model.md"), -1) {
		files, err := filepath.Glob(filepath.Join("../..", m[1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if m[1] == "" { // the engine's
			of, err := filepath.Glob("../../internal/enginetest/*_test.go")
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, of...)
		}
		there := slices.ContainsFunc(files, func(file string) bool { return strings.Contains(readDoc(t, file), "func "+m[2]+"(") })
		if !there {
			t.Errorf("docs/security-model.md names %s, which is not in %q", m[2], m[1])
		}
	}
}

// Samples are copied. Every secret that the documentation and the examples show keeps a production server from starting.
func TestSamplesOfTheDocumentationAreRefused(t *testing.T) {
	t.Parallel()
	text := allDocs(t)
	refusedDigest := func(digest string) bool {
		var c checker
		c.apiKeys("apps[0]", []apiKeyConfig{{SHA256: digest, Scopes: []string{server.ScopeChallenges}}})
		c.checkSecrets()
		return len(c.problems) > 0
	}
	refusedURL := func(url string) bool {
		strong := func(s usedSecret) bool { return s.weakness() == "" }
		return !slices.ContainsFunc(secretsOfURL("url", url), strong)
	}
	for _, kind := range []struct {
		name, pattern string
		refused       func(sample string) bool
	}{
		{"digest of an API key", `sha256: *"?([0-9a-fA-F]{64})`, refusedDigest},
		{"API key", `Bearer ([A-Za-z0-9_-]+)`, func(key string) bool {
			sum := sha256.Sum256([]byte(key))
			return refusedDigest(hex.EncodeToString(sum[:]))
		}},
		{"password in a URL", `([a-z]+(?:\+[a-z]+)?://[^\s/@]*:[^\s/@]+@)`, func(url string) bool { return refusedURL(url + "host") }},
		{"secret of webhooks", `secret=((?:v1,)?whsec_[A-Za-z0-9+/=.]*)`, func(secret string) bool {
			_, err := webhook.ParseSecret(secret)
			return err != nil || refusedURL("https://host/?secret="+secret)
		}},
	} {
		samples := regexp.MustCompile(kind.pattern).FindAllStringSubmatch(text, -1)
		if len(samples) == 0 {
			t.Errorf("no %s was found: the pattern finds nothing any more", kind.name)
		}
		for _, sample := range samples {
			if !kind.refused(sample[1]) {
				t.Errorf("the %s %q is in the documentation, and a production server starts with it", kind.name, sample[1])
			}
		}
	}
}

// allDocs is everything that people copy from.
func allDocs(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	all.WriteString(readDoc(t, "../../README.md"))
	for _, folder := range []string{"../../docs", "../../examples"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && slices.Contains([]string{"node_modules", ".next"}, entry.Name()) {
				return filepath.SkipDir // what npm has installed and Next.js has built
			}
			if err == nil && !entry.IsDir() {
				all.WriteString(readDoc(t, path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}
