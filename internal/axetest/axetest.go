// Package axetest gives tests axe-core, which checks the accessibility of web pages.
package axetest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const version = "4.14.1"

// Check is an expression that, where the script of Source has run, is a promise of a JSON list: the violations of WCAG 2.2 A and AA,
// each with rule and elements.
const Check = `axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] }).then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.nodes.map(n => n.html + " " + n.failureSummary).join("; "))))`

// Source returns the script of axe-core, which npm downloads once. It returns an empty text if the download fails, and logs that.
func Source(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	folder := filepath.Join(cache, "watchword-tests", "axe-core-"+version)
	file := filepath.Join(folder, "node_modules", "axe-core", "axe.min.js")
	if _, err := os.Stat(file); err != nil {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		out, err := exec.CommandContext(ctx, "npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, "axe-core@"+version).CombinedOutput()
		if err != nil {
			lines := strings.Split(strings.TrimSpace(string(out)), "\n")
			t.Logf("axe-core cannot be downloaded, so accessibility was NOT checked: install npm, or check the network: %v %s", err, lines[len(lines)-1])
			return ""
		}
	}
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(source)
}
