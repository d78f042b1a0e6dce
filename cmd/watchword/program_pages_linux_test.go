package main

import (
	"os"
	"regexp"
	"strconv"
	"testing"
)

// mappedProgram returns how much of the program's code is in the memory of this process, in KiB.
func mappedProgram(t *testing.T) (kib int) {
	t.Helper()
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile(`(?m)^\S+ r-xp .* ` + regexp.QuoteMeta(file) + `\n(?:\w+:.*\n)*?Rss: +(\d+) kB`)
	for _, found := range code.FindAllStringSubmatch(string(text), -1) {
		n, _ := strconv.Atoi(found[1])
		kib += n
	}
	return kib
}

func TestUnmapProgramPagesLeavesRunningProgramSmaller(t *testing.T) {
	before := mappedProgram(t)
	if err := unmapProgramPages(); err != nil {
		t.Fatal(err)
	}
	if after := mappedProgram(t); before == 0 || after > before*3/4 {
		t.Errorf("%d KiB of the code are in memory, before %d", after, before)
	}
}
