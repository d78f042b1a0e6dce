package main

import (
	"bufio"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseUsageReadsTheReplyToInfo(t *testing.T) {
	const info = "# Stats\r\ntotal_connections_received:12\r\ntotal_commands_processed:345\r\ntotal_reads_processed:300\r\n\r\n# CPU\r\n" +
		"used_cpu_sys:0.250000\r\nused_cpu_user:1.500000\r\nused_cpu_sys_children:9.000000\r\n"
	got, err := parseUsage(info)
	if want := (redisUsage{1750 * time.Millisecond, 345, 300}); err != nil || got != want {
		t.Errorf("usage is %v (%v), want %v", got, err, want)
	}
	if _, err := parseUsage("# CPU\r\nused_cpu_sys:0.25\r\n"); err == nil {
		t.Error("INFO without numbers is accepted")
	}
}

func TestCountClientCommandsLeavesOutThoseOfScripts(t *testing.T) {
	lines := bufio.NewScanner(strings.NewReader(`1339518083.107412 [0 127.0.0.1:60866] "evalsha" "ab" "1" "[0 lua]"
1339518083.107413 [0 lua] "set" "k" "v"
1339518083.107414 [0 127.0.0.1:60866] "get" "end-of-count "
1339518083.107415 [0 127.0.0.1:60867] "echo" "end-of-count"
1339518083.107416 [0 127.0.0.1:60866] "get" "k"
`))
	if got, want := countClientCommands(lines), (commandCount{"evalsha ab": 1, "get": 1}); !maps.Equal(got, want) {
		t.Errorf("commands are %v, want %v", got, want)
	}
}

func TestParseRSSReadsVmRSS(t *testing.T) {
	got, err := parseRSS("Name:\twatchword\nVmHWM:\t   41000 kB\nVmRSS:\t   40960 kB\nVmData:\t 1 kB\n")
	if err != nil || got != 40<<20 {
		t.Errorf("%d bytes (%v), want 40 MiB", got, err)
	}
	if _, err := parseRSS("Name:\twatchword\n"); err == nil {
		t.Error("a status without VmRSS is accepted")
	}
}

func TestParseSchedstatReadsTheTimeOnCPU(t *testing.T) {
	if got, err := parseSchedstat("673834 144176 6\n"); err != nil || got != 673834 {
		t.Errorf("%d ns (%v), want 673834", got, err)
	}
	if _, err := parseSchedstat(""); err == nil {
		t.Error("an empty schedstat is accepted")
	}
}

func TestParseOptionsSelectsModesAndConnections(t *testing.T) {
	o, err := parseOptions([]string{"-modes", "limits,bare", "-connections", "1, 64", "-duration", "300ms"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.modes) != 2 || o.modes[0].key != "bare" || o.modes[1].key != "limits" || !slices.Equal(o.connections, []int{1, 64}) || o.rounds != 3 {
		t.Errorf("options are %+v", o)
	}
}

func TestParseOptionsRefusesWhatCannotBeMeasured(t *testing.T) {
	for _, args := range [][]string{{"-modes", "fast"}, {"-modes", ""}, {"-modes", "bare,bare"}, {"-connections", "0"}, {"-connections", "1,x"},
		{"-rounds", "0"}, {"-duration", "0s"}, {"bare"}} {
		if _, err := parseOptions(args, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
