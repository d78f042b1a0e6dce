package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// unmapProgramPages takes the pages of the program's file out of the process's memory. Linux maps sixteen pages at each access, so
// start-up alone maps most of the file. The pages stay in the system's cache, and an access maps them again. A page that the process
// has changed, such as one that was relocated, would lose its content: mappings with such pages stay.
func unmapProgramPages() error {
	file, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return err
	}
	list, err := os.Open("/proc/self/smaps")
	if err != nil {
		return err
	}
	defer func() { _ = list.Close() }()
	var from, to uintptr // of the mapping that is being read; 0: it stays
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		var permissions string
		var begin, end uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &begin, &end, &permissions); n == 3 { // proc(5), "smaps"
			from, to = 0, 0
			if strings.HasSuffix(lines.Text(), " "+file) && !strings.Contains(permissions, "w") {
				from, to = begin, end
			}
			continue
		}
		name, changed, _ := strings.Cut(lines.Text(), ":")
		if from == 0 || name != "Anonymous" || strings.TrimSpace(changed) != "0 kB" {
			continue
		}
		if _, _, failed := syscall.Syscall(syscall.SYS_MADVISE, from, to-from, syscall.MADV_DONTNEED); failed != 0 {
			return failed
		}
	}
	return lines.Err()
}
