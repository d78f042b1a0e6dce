package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	rulesFile     = "../../deploy/prometheus/rules.yml"
	rulesTestFile = "../../deploy/prometheus/rules_test.yml"
	dashboardFile = "../../deploy/grafana/watchword.json"
)

// A deployQuery is a PromQL expression of the rules or the dashboard, with the texts that show labels of its results.
type deployQuery struct {
	where, expr string
	templates   []string
}

// A prometheusRule is a rule of rules.yml.
type prometheusRule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

func readRules(t *testing.T) (rules []prometheusRule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []prometheusRule }
	}
	if err := yaml.Unmarshal([]byte(readDoc(t, rulesFile)), &file); err != nil {
		t.Fatal(err)
	}
	for _, group := range file.Groups {
		rules = append(rules, group.Rules...)
	}
	return rules
}

// dashboardVariables replaces the variables of the dashboard as Grafana does.
var dashboardVariables = strings.NewReplacer("$__rate_interval", "5m", "$job", "watchword", "$app", ".*")

// readQueries returns all expressions of the rules and of the dashboard.
func readQueries(t *testing.T) (all []deployQuery) {
	t.Helper()
	for _, r := range readRules(t) {
		q := deployQuery{where: r.Record + r.Alert, expr: r.Expr}
		for _, text := range r.Annotations {
			q.templates = append(q.templates, text)
		}
		all = append(all, q)
	}
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr, LegendFormat string }
		}
	}
	if err := json.Unmarshal([]byte(readDoc(t, dashboardFile)), &dashboard); err != nil {
		t.Fatal(err)
	}
	for _, p := range dashboard.Panels {
		for _, target := range p.Targets {
			all = append(all, deployQuery{"panel " + p.Title, dashboardVariables.Replace(target.Expr), []string{target.LegendFormat}})
		}
	}
	if len(all) < 40 {
		t.Fatalf("only %d expressions", len(all))
	}
	return all
}

// runPromtool runs promtool in a folder.
func runPromtool(t *testing.T, dir string, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian, Ubuntu: apt-get install prometheus)")
	}
	cmd := exec.Command(program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func TestAlertsFireAsTheirTestsSay(t *testing.T) {
	t.Parallel()
	dir, file := filepath.Split(rulesTestFile)
	runPromtool(t, dir, "check", "rules", filepath.Base(rulesFile))
	runPromtool(t, dir, "test", "rules", file)
}

// Each alert has a test in which it fires.
func TestEachAlertHasATest(t *testing.T) {
	tests := readDoc(t, rulesTestFile)
	for _, r := range readRules(t) {
		if r.Alert != "" && !regexp.MustCompile(`alertname: `+r.Alert+`\n.*\n +exp_alerts:\n`).MatchString(tests) {
			t.Errorf("no test lets %s fire", r.Alert)
		}
	}
}

// Each alert has a summary, a severity and a link to a section of docs/operating.md.
func TestEachAlertLinksToWhatToDo(t *testing.T) {
	const page = "https://github.com/watchword-auth/watchword/blob/main/docs/operating.md#"
	names := anchors(readDoc(t, "../../docs/operating.md"))
	for _, r := range readRules(t) {
		if r.Alert == "" {
			continue
		}
		anchor, found := strings.CutPrefix(r.Annotations["runbook_url"], page)
		if !found || !slices.Contains(names, anchor) {
			t.Errorf("%s links to %q, which is no section", r.Alert, r.Annotations["runbook_url"])
		}
		if r.Annotations["summary"] == "" || r.Labels["severity"] == "" {
			t.Errorf("%s has no summary or no severity", r.Alert)
		}
	}
}

// Prometheus itself parses what is on the dashboard.
func TestDashboardQueriesAreValidPromQL(t *testing.T) {
	t.Parallel()
	type rule struct{ Record, Expr string }
	var rules []rule
	for _, q := range readQueries(t) {
		rules = append(rules, rule{"query", q.expr})
	}
	file, err := yaml.Marshal(map[string]any{"groups": []map[string]any{{"name": "dashboard", "rules": slices.Compact(rules)}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "rules.yml"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	runPromtool(t, dir, "check", "rules", "rules.yml")
}
