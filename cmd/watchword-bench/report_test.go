package main

import (
	"strings"
	"testing"
)

func TestReportComparesWithTheBareHandlerOfTheSameConnections(t *testing.T) {
	server := mode{key: "server", name: "server"}
	rows := []row{
		{bareMode, 1, result{cyclesPerSecond: 1000, serverCPU: 100, p50: 0.25, p99: 1, send: 0.125, sendP99: 4, idleRSS: 10, loadRSS: 20, redisCPU: 30, commands: 3, reads: 3,
			commandShares: []float64{1}, cpuShares: []float64{1}}},
		{server, 1, result{cyclesPerSecond: 500, serverCPU: 150, p50: 0.5, p99: 2, send: 0.25, sendP99: 5, idleRSS: 30, loadRSS: 60, redisCPU: 45, commands: 4, reads: 2.5,
			commandShares: []float64{0.25, 0.35, 0.4}, cpuShares: []float64{0.5, 0.3, 0.2}}},
		{server, 16, result{cyclesPerSecond: 500, serverCPU: 150, commandShares: []float64{1}, cpuShares: []float64{1}}},
	}
	const want = `About.

| server | connections | cycles/s | of bare | server CPU, µs | of bare | request p50, ms | p99, ms | 201 to send p50, ms | p99, ms |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
| bare handler | 1 | 1000 | 1.00 | 100 | 1.00 | 0.25 | 1.00 | 0.12 | 4.00 |
| server | 1 | 500 | 0.50 | 150 | 1.50 | 0.50 | 2.00 | 0.25 | 5.00 |
| server | 16 | 500 | – | 150 | – | 0.00 | 0.00 | 0.00 | 0.00 |

| server | connections | RSS idle, MiB | under load, MiB | Redis CPU, µs | Redis commands | Redis reads | commands by master, % | Redis CPU by master, % |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
| bare handler | 1 | 10 | 20 | 30 | 3.00 | 3.00 | – | – |
| server | 1 | 30 | 60 | 45 | 4.00 | 2.50 | 25 / 35 / 40 | 50 / 30 / 20 |
| server | 16 | 0 | 0 | 0 | 0.00 | 0.00 | – | – |
`
	var out strings.Builder
	if err := writeReport(&out, "About.", rows); err != nil {
		t.Fatal(err)
	}
	if out.String() != want {
		t.Errorf("the report is\n%s\nwant\n%s", out.String(), want)
	}
}
