package main

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword/ratelimit"
)

// documents returns the texts of the README and of every page of the documentation, by path from the repository's top folder.
func documents(t *testing.T) map[string]string {
	t.Helper()
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	texts := map[string]string{}
	for _, page := range append(pages, "../../README.md", "../../CONTRIBUTING.md", "../../SECURITY.md", "../../CHANGELOG.md", "../../clients/typescript/README.md") {
		texts[strings.TrimPrefix(filepath.ToSlash(page), "../../")] = readDoc(t, page)
	}
	return texts
}

var (
	codeBlock = regexp.MustCompile("(?s)```.*?```")
	codeSpan  = regexp.MustCompile("`[^`\n]*`")
	link      = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading   = regexp.MustCompile(`(?m)^#+ (.*)$`)
)

func TestLinksOfTheDocumentationReachFilesAndHeadings(t *testing.T) {
	t.Parallel()
	texts := documents(t)
	for page, text := range texts {
		for _, m := range link.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			if target = path.Join(path.Dir(page), target); strings.HasPrefix(m[1], "#") {
				target = page
			}
			if _, err := os.Stat("../../" + target); err != nil {
				t.Errorf("%s links to %s, which does not exist", page, m[1])
			}
			if anchor != "" && !slices.Contains(anchors(texts[target]), anchor) {
				t.Errorf("%s links to %s: %s has no such heading", page, m[1], target)
			}
		}
	}
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(text string) (names []string) {
	dropped := regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	for _, m := range heading.FindAllStringSubmatch(codeBlock.ReplaceAllString(text, ""), -1) {
		names = append(names, strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-"))
	}
	return names
}

// A page that begins with a list of its parts lists all of them.
func TestListsOfContentsNameEveryPart(t *testing.T) {
	parts := regexp.MustCompile(`(?m)^## .*$`)
	lists := 0
	for page, text := range documents(t) {
		text = codeBlock.ReplaceAllString(text, "")
		intro, _, _ := strings.Cut(text, "\n## ")
		if !strings.Contains(intro, "](#") {
			continue
		}
		lists++
		for _, anchor := range anchors(strings.Join(parts.FindAllString(text, -1), "\n")) {
			if !strings.Contains(intro, "](#"+anchor+")") {
				t.Errorf("the list at the beginning of %s lacks #%s", page, anchor)
			}
		}
	}
	if lists < 15 {
		t.Errorf("only %d pages begin with a list", lists)
	}
}

func TestDocumentationIndexListsEveryPage(t *testing.T) {
	index := readDoc(t, "../../docs/README.md")
	for page := range documents(t) {
		if name, ok := strings.CutPrefix(page, "docs/"); ok && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
}

// Words that the documents once used for things that have a standard name.
func TestDocumentsUseNoMetaphors(t *testing.T) {
	metaphor := regexp.MustCompile(`(?i)\b(house|doors?|rooms?|floors?|thief|thieves|vandals?|stand-?ins?|nameless|happenings?|in a row)\b`)
	for page, text := range documents(t) {
		plain := codeSpan.ReplaceAllString(codeBlock.ReplaceAllString(text, ""), "")
		for _, word := range metaphor.FindAllString(plain, -1) {
			t.Errorf("%s has the word %q", page, word)
		}
	}
}

func TestEveryPathOfTheAPIIsDocumented(t *testing.T) {
	var published struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal(get(t, "/openapi.json"), &published); err != nil || len(published.Paths) < 10 {
		t.Fatalf("%d paths: %v", len(published.Paths), err)
	}
	doc := readDoc(t, "../../docs/api.md")
	for path, methods := range published.Paths {
		for method := range methods {
			if text := strings.ToUpper(method) + " " + path; !regexp.MustCompile("`" + regexp.QuoteMeta(text) + "[`?]").MatchString(doc) {
				t.Errorf("docs/api.md does not name %s", text)
			}
		}
	}
}

func TestEveryProblemIsDocumented(t *testing.T) {
	found := regexp.MustCompile(`problems/([a-z_]+)"`).FindAllStringSubmatch(string(get(t, "/problems")), -1)
	if len(found) < 20 {
		t.Fatalf("%d problems", len(found))
	}
	doc := readDoc(t, "../../docs/api.md")
	for _, m := range found {
		if !strings.Contains(doc, "`"+m[1]+"`") {
			t.Errorf("docs/api.md does not name the problem %s", m[1])
		}
	}
}

// The constants of the engine are read from its source, since a list that a test keeps would be forgotten too.
func TestEveryEventIsDocumented(t *testing.T) {
	t.Parallel()
	doc := readDoc(t, "../../docs/api.md")
	events := regexp.MustCompile(`\bEvent[A-Za-z]+ += "([a-z_]+\.[a-z_]+)"`).FindAllStringSubmatch(sources(t, "../.."), -1)
	if len(events) < 18 {
		t.Fatalf("%d events", len(events))
	}
	for _, m := range events {
		if !strings.Contains(doc, "`"+m[1]+"`") {
			t.Errorf("docs/api.md does not name the event %s", m[1])
		}
	}
}

// sources are all Go files of a folder and below, without tests.
func sources(t *testing.T, folder string) string {
	t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			all.WriteString(readDoc(t, path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all.String()
}

func TestDefaultLimitsAreDocumented(t *testing.T) {
	doc := readDoc(t, "../../docs/configuration.md")
	for _, r := range ratelimit.DefaultRules() {
		window := strings.NewReplacer("m0s", "m", "h0m0s", "h").Replace(r.Window.String())
		row := strings.Join([]string{"| `" + r.Name + "`", strconv.Itoa(r.Limit), window, r.By, strings.Join(r.Channels, ", ")}, " | ")
		if !strings.Contains(doc, strings.TrimRight(row, " ")+" |") {
			t.Errorf("docs/configuration.md does not have the row %s |", row)
		}
	}
}

// What docs/operating.md lists under "Log messages" is what the program logs, or begins so.
func TestListedLogMessagesAreLogged(t *testing.T) {
	_, section, _ := strings.Cut(readDoc(t, "../../docs/operating.md"), "### Log messages")
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(section, -1)
	if len(rows) < 15 {
		t.Fatalf("%d messages", len(rows))
	}
	code := sources(t, "../..")
	for _, m := range rows {
		if m[1] != "msg" && !strings.Contains(code, `"`+m[1]) {
			t.Errorf("docs/operating.md lists the log message %q, which nothing logs", m[1])
		}
	}
}

func TestColumnsInClearAreDocumented(t *testing.T) {
	migrations, err := filepath.Glob("../../store/sql/*/migrations/*.sql")
	if err != nil || len(migrations) == 0 {
		t.Fatalf("%d migrations: %v", len(migrations), err)
	}
	_, doc, _ := strings.Cut(readDoc(t, "../../docs/operating.md"), "## The database")
	columns := 0
	for _, file := range migrations {
		for _, m := range regexp.MustCompile(`(?m)^    ([a-z_]+) +(?:TEXT|INTEGER|BIGINT)`).FindAllStringSubmatch(readDoc(t, file), -1) {
			if columns++; !strings.Contains(doc, "`"+m[1]+"`") {
				t.Errorf("docs/operating.md does not say that the column %s is in clear", m[1])
			}
		}
	}
	if columns < 12 {
		t.Fatalf("%d columns", columns)
	}
}

func TestEveryPublicPackageIsDocumented(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-C", "../..", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	doc := readDoc(t, "../../docs/library.md")
	for _, name := range strings.Fields(string(out)) {
		name = strings.TrimPrefix(strings.TrimPrefix(name, "github.com/watchword-auth/watchword"), "/")
		if name == "" || strings.Contains("/"+name, "/internal/") || strings.HasPrefix(name, "cmd/") || strings.HasPrefix(name, "examples/") || strings.HasPrefix(name, "clients/") {
			continue
		}
		if !strings.Contains(doc, "`"+name+"`") {
			t.Errorf("docs/library.md does not name the package %s", name)
		}
	}
}

func TestShortestProductionConfigurationPassesCheckConfig(t *testing.T) {
	_, section, _ := strings.Cut(readDoc(t, "../../docs/configuration.md"), "## Shortest production configuration")
	_, block, found := strings.Cut(section, "```yaml\n")
	block, _, ended := strings.Cut(block, "   ```")
	if !found || !ended {
		t.Fatal("docs/configuration.md shows no configuration")
	}
	folder := t.TempDir()
	t.Chdir(folder)
	var out bytes.Buffer
	command := newRootCommand(&out, &out)
	command.SetArgs([]string{"keys", "new", "--dir", "keys", "--name", "2026-11"})
	if err := command.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	digest := regexp.MustCompile(`sha256: ([0-9a-f]{64})`)
	printed := digest.FindString(out.String())
	config := digest.ReplaceAllString(strings.ReplaceAll(block, "\n   ", "\n"), printed)
	if printed == "" || !strings.Contains(config, printed) {
		t.Fatalf("no digest in %q or in %q", out.String(), config)
	}
	for name, text := range map[string]string{"watchword.yaml": strings.TrimPrefix(config, "   "),
		"smtp-url": "smtp://shop:hT7-kq2_Zp9wRx4s@mail.shop.example:587?from=noreply@shop.example\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := runCommand(t, "check-config", "--config", "watchword.yaml"); err != nil {
		t.Error(err)
	}
}

// A message that docs/troubleshooting.md quotes is one of the server's or of its pages, so that a search for it finds the row.
func TestQuotedMessagesOfTroubleshootingExist(t *testing.T) {
	rows := regexp.MustCompile(`(?m)^\|[^|"]*"([^"|]+)"[^|]*\|`).FindAllStringSubmatch(readDoc(t, "../../docs/troubleshooting.md"), -1)
	if len(rows) < 6 {
		t.Fatalf("%d quoted messages", len(rows))
	}
	code := sources(t, "../..") + readDoc(t, "../../server/pages/text.en.json")
	for _, m := range rows {
		if !strings.Contains(code, m[1]) {
			t.Errorf("docs/troubleshooting.md quotes %q, which nothing shows", m[1])
		}
	}
}
