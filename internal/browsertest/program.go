package browsertest

import (
	"os"
	"os/exec"
	"testing"
)

// headlessShell is the program of Debian's package chromium-headless-shell, which is Chromium without windows and toolbars and takes
// about half of the processor time. The package's script in /usr/bin starts it as a child, which would go on running when the
// script is killed.
const headlessShell = "/usr/lib/chromium/chromium-headless-shell"

// Program returns the path of a Chromium for pages: the headless shell where it is installed, and else the full browser. The test is
// skipped where there is neither.
func Program(t testing.TB) string {
	t.Helper()
	if _, err := os.Stat(headlessShell); err == nil {
		return headlessShell
	}
	return FullProgram(t)
}

// FullProgram returns the path of the full Chromium, for what the headless shell does not do: it refuses a page the clipboard, and
// renders sandboxed frames in the process of their page. The test is skipped without it.
func FullProgram(t testing.TB) string {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("Chromium is not installed: apt-get install chromium")
	}
	return chromium
}
