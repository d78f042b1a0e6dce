package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// A row is the result of a mode at a number of connections.
type row struct {
	mode        mode
	connections int
	result
}

// A column is a heading and how it shows a row. bare is the bare handler's row with the same connections, or nil if it was not
// measured.
type column struct {
	heading string
	show    func(r row, bare *row) string
}

var serverColumn = column{"server", func(r row, _ *row) string { return r.mode.name }}

// number returns a column with a number.
func number(heading, format string, value func(r row) float64) column {
	return column{heading, func(r row, _ *row) string { return fmt.Sprintf(format, value(r)) }}
}

// ratio returns a column with the ratio of a number to that of the bare handler.
func ratio(value func(r row) float64) column {
	return column{"of bare", func(r row, bare *row) string {
		if bare == nil {
			return "–"
		}
		return fmt.Sprintf("%.2f", value(r)/value(*bare))
	}}
}

var connectionsColumn = number("connections", "%.0f", func(r row) float64 { return float64(r.connections) })

// speedColumns are the columns of the first table.
var speedColumns = []column{
	serverColumn, connectionsColumn,
	number("cycles/s", "%.0f", func(r row) float64 { return r.cyclesPerSecond }),
	ratio(func(r row) float64 { return r.cyclesPerSecond }),
	number("server CPU, µs", "%.0f", func(r row) float64 { return r.serverCPU }),
	ratio(func(r row) float64 { return r.serverCPU }),
	number("request p50, ms", "%.2f", func(r row) float64 { return r.p50 }),
	number("p99, ms", "%.2f", func(r row) float64 { return r.p99 }),
	number("201 to send p50, ms", "%.2f", func(r row) float64 { return r.send }),
	number("p99, ms", "%.2f", func(r row) float64 { return r.sendP99 }),
}

// costColumns are the columns of the second table.
var costColumns = []column{
	serverColumn, connectionsColumn,
	number("RSS idle, MiB", "%.0f", func(r row) float64 { return r.idleRSS }),
	number("under load, MiB", "%.0f", func(r row) float64 { return r.loadRSS }),
	number("Redis CPU, µs", "%.0f", func(r row) float64 { return r.redisCPU }),
	number("Redis commands", "%.2f", func(r row) float64 { return r.commands }),
	number("Redis reads", "%.2f", func(r row) float64 { return r.reads }),
	{"commands by master, %", func(r row, _ *row) string { return formatShares(r.commandShares) }},
	{"Redis CPU by master, %", func(r row, _ *row) string { return formatShares(r.cpuShares) }},
}

// writeReport writes the result as Markdown: a line about the run, and two tables.
func writeReport(w io.Writer, about string, rows []row) error {
	_, err := fmt.Fprintf(w, "%s\n\n%s\n%s", about, formatTable(speedColumns, rows), formatTable(costColumns, rows))
	return err
}

func formatTable(columns []column, rows []row) string {
	var text strings.Builder
	var headings, rules []string
	for i, c := range columns {
		rule := "---:"
		if i == 0 {
			rule = "---"
		}
		headings, rules = append(headings, c.heading), append(rules, rule)
	}
	writeLine := func(fields []string) { text.WriteString("| " + strings.Join(fields, " | ") + " |\n") }
	writeLine(headings)
	text.WriteString("|" + strings.Join(rules, "|") + "|\n")
	for _, r := range rows {
		bare := findBare(rows, r.connections)
		fields := make([]string, len(columns))
		for i, c := range columns {
			fields[i] = c.show(r, bare)
		}
		writeLine(fields)
	}
	return text.String()
}

// findBare returns the row of the bare handler with a number of connections, or nil.
func findBare(rows []row, connections int) *row {
	for i := range rows {
		if rows[i].mode.key == bareMode.key && rows[i].connections == connections {
			return &rows[i]
		}
	}
	return nil
}

// formatShares returns percentages, or a dash for a single server, which has everything.
func formatShares(shares []float64) string {
	if len(shares) == 1 {
		return "–"
	}
	parts := make([]string, len(shares))
	for i, s := range shares {
		parts[i] = fmt.Sprintf("%.0f", 100*s)
	}
	return strings.Join(parts, " / ")
}

// describeRun says how and where was measured.
func describeRun(o options, loadBefore, loadAfter string) string {
	return fmt.Sprintf("Medians of rounds in turns (%d, of at most %s each); %d CPUs, shared with Redis and the load; %s; load average before %s, after %s.",
		o.rounds, o.duration, runtime.NumCPU(), runtime.Version(), loadBefore, loadAfter)
}

// loadAverage returns the machine's load average of one minute.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}
