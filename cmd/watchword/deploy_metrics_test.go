package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// A scrapedSeries is one series of a scrape: its labels, and its name as the label __name__.
type scrapedSeries map[string]string

// TestEachMetricAndLabelOfDashboardAndRulesExists lets a server do everything that the metrics count, and looks for each selector and
// each label of the dashboard and the rules in its scrape.
func TestEachMetricAndLabelOfDashboardAndRulesExists(t *testing.T) {
	t.Parallel()
	series := scrapeBusyServer(t)
	requireDocumented(t, series)
	for _, r := range readRules(t) {
		if r.Record != "" {
			series = append(series, recordedSeries(t, r))
		}
	}
	for _, q := range readQueries(t) {
		expr, err := metricsql.Parse(q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		checkQuery(t, q, expr, series)
	}
}

// requireDocumented fails if docs/operating.md does not name a metric.
func requireDocumented(t *testing.T, series []scrapedSeries) {
	t.Helper()
	page := readDoc(t, "../../docs/operating.md")
	part := regexp.MustCompile(`_(sum|count|bucket)$`)
	for _, one := range series {
		name := part.ReplaceAllString(one["__name__"], "")
		if strings.HasPrefix(name, "watchword_") && !strings.Contains(page, "| `"+name+"` |") {
			t.Errorf("docs/operating.md does not name %s", name)
		}
	}
}

// checkQuery fails if no series fits a selector of an expression, or if no series of a grouped selector has one of the labels by which
// it is grouped, or that the texts show.
func checkQuery(t *testing.T, q deployQuery, expr metricsql.Expr, series []scrapedSeries) {
	t.Helper()
	shown := labelsOfTemplates(q.templates)
	known := map[string]bool{}
	metricsql.VisitAll(expr, func(e metricsql.Expr) {
		switch e := e.(type) {
		case *metricsql.MetricExpr:
			found := selectSeries(t, e, series)
			if len(found) == 0 {
				t.Errorf("%s: no series fits %s", q.where, e.AppendString(nil))
			}
			for _, one := range found {
				for label := range one {
					known[label] = true
				}
			}
		case *metricsql.AggrFuncExpr:
			for _, label := range e.Modifier.Args {
				metricsql.VisitAll(e, func(inner metricsql.Expr) {
					metric, ok := inner.(*metricsql.MetricExpr)
					if ok && !slices.ContainsFunc(selectSeries(t, metric, series), func(one scrapedSeries) bool { _, has := one[label]; return has }) {
						t.Errorf("%s: %s has no label %s", q.where, metric.AppendString(nil), label)
					}
				})
			}
		}
	})
	for _, label := range shown {
		if !known[label] {
			t.Errorf("%s: no series has the label %s that is shown", q.where, label)
		}
	}
}

// selectSeries returns the series that a selector fits.
func selectSeries(t *testing.T, e *metricsql.MetricExpr, series []scrapedSeries) (found []scrapedSeries) {
	t.Helper()
	for _, one := range series {
		fits := slices.ContainsFunc(e.LabelFilterss, func(all []metricsql.LabelFilter) bool {
			return !slices.ContainsFunc(all, func(f metricsql.LabelFilter) bool {
				matches := one[f.Label] == f.Value
				if f.IsRegexp {
					matches = regexp.MustCompile("^(?:" + f.Value + ")$").MatchString(one[f.Label])
				}
				_, has := one[f.Label]
				return matches == f.IsNegative || !has
			})
		})
		if fits {
			found = append(found, one)
		}
	}
	return found
}

var (
	shownLabel = regexp.MustCompile(`\{\{ *(?:\$labels\.)?(\w+) *\}\}`)
	groupedBy  = regexp.MustCompile(`by \(([^)]*)\)`)
)

func labelsOfTemplates(texts []string) (labels []string) {
	for _, m := range shownLabel.FindAllStringSubmatch(strings.Join(texts, " "), -1) {
		labels = append(labels, m[1])
	}
	return labels
}

// recordedSeries is a series of a recording rule, with the labels by which it is grouped.
func recordedSeries(t *testing.T, r prometheusRule) scrapedSeries {
	t.Helper()
	one := scrapedSeries{"__name__": r.Record}
	if m := groupedBy.FindStringSubmatch(r.Expr); m != nil {
		for label := range strings.SplitSeq(m[1], ", ") {
			if label != "le" {
				one[label] = ""
			}
		}
	}
	return one
}

// scrapeBusyServer runs a server in which everything happens that the metrics count: challenges that are approved, locked and
// refused by a limit, messages that are sent, refused and reported, and an unavailable store.
func scrapeBusyServer(t *testing.T) []scrapedSeries {
	t.Helper()
	redis, receiver := redistest.Start(t), startReportingReceiver(t, firstSecret, httptest.NewServer)
	n := serveInProcess(t, func(s *settings) {
		s.redis, s.metricsListen = watchword.NewCode(redis.URL()), "127.0.0.1:0"
		s.apps[0].send["sms"] = []senderSettings{receiver.settings(0)}
	})
	metrics := n.loggedAddr("metrics served")
	id := n.start().str("id")
	if r := n.check(id, n.waitForCode(id)); r.status != http.StatusOK {
		t.Fatal(r.text)
	}
	n.startRefusedChallenges()
	n.enrolRecoveryCodes()
	id = n.start(func(o object) { o["channel"], o["to"] = "sms", "+14155550123" }).str("id")
	message := receiver.waitFor(t, id)
	waitFor(t, "sent webhook", func() string { return n.deliveryStatus(id) })
	if status := receiver.post(n, message, signedReport{}); status >= 300 {
		t.Fatalf("report: %d", status)
	}
	waitFor(t, "delivered webhook", func() string { return n.deliveryStatus(id) })
	if err := redis.Pause(); err != nil {
		t.Fatal(err)
	}
	if r := n.call("GET", "/v1/challenges/"+id, nil); r.status != http.StatusServiceUnavailable {
		t.Errorf("without Redis: %d", r.status)
	}
	if err := redis.Resume(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "200", func() string { return fmt.Sprint(n.call("GET", "/readyz", nil).status) })
	return parseScrape(t, fetchMetrics(t, metrics))
}

// parseScrape returns the series of a scrape, with the labels that Prometheus adds to each.
func parseScrape(t *testing.T, text string) (series []scrapedSeries) {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, labels map[string]string) {
		one := scrapedSeries{"__name__": name, "job": "watchword", "instance": "a"}
		for label, value := range labels {
			one[label] = value
		}
		series = append(series, one)
	}
	add("up", nil)
	for name, family := range families {
		for _, m := range family.Metric {
			labels := map[string]string{}
			for _, pair := range m.Label {
				labels[pair.GetName()] = pair.GetValue()
			}
			if m.Histogram == nil {
				add(name, labels)
				continue
			}
			add(name+"_sum", labels)
			add(name+"_count", labels)
			labels["le"] = "+Inf"
			add(name+"_bucket", labels)
		}
	}
	return series
}

// serveInProcess runs a whole development server in this process until the test ends.
func serveInProcess(t *testing.T, change func(*settings)) *node {
	t.Helper()
	n := &node{t: t, log: &syncBuffer{}}
	var c checker
	s := c.developmentSettings(fileConfig{DataDir: t.TempDir()})
	s.listen, s.apps[0].publicURL, s.apps[0].rpID = "127.0.0.1:0", "https://verify.example.com", ""
	change(&s)
	if len(c.problems) > 0 {
		t.Fatal(c.problems)
	}
	log := slog.New(slog.NewJSONHandler(n.log, nil))
	p := &serverProcess{settings: s, log: log, startupLog: log, stdout: io.Discard}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- p.serve(ctx) }()
	n.stop = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(n.stop)
	waitFor(t, "listening", func() string {
		select {
		case err := <-ended:
			t.Fatalf("the server ended: %v", err)
		default:
		}
		return map[bool]string{true: "listening"}[strings.Contains(n.log.String(), `"msg":"listening"`)]
	})
	n.url = "http://" + n.loggedAddr("listening")
	return n
}
