package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	library "github.com/watchword-auth/watchword/service"
)

// createKeys runs `watchword keys new`.
func createKeys(t *testing.T, dir, name string) {
	t.Helper()
	cmd := keysCommand()
	cmd.SetArgs([]string{"new", "--dir", dir, "--name", name})
	cmd.SetOut(io.Discard)
	if err := cmd.ExecuteContext(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// Programs that use the library read the same files.
func TestLoadKeysReadsWhatTheProgramWrote(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := library.LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "identity.key") {
		t.Errorf("an empty folder: %v", err)
	}
	createKeys(t, dir, "b")
	one, err := library.LoadKeys(dir)
	if err != nil || len(one.Ring) != 1 || one.Ring[0].ID != "b" || len(one.Signing) != 1 || one.PasskeySecret("shop").IsZero() {
		t.Fatalf("%v: %+v", err, one)
	}
	createKeys(t, dir, "a")
	if _, err := library.LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "a, b") {
		t.Errorf("two names and no active one: %v", err)
	}
	for _, c := range [][2]string{{"b", "b a"}, {"c", ""}, {"a\n", "a b"}} {
		active, want := c[0], c[1]
		if err := os.WriteFile(filepath.Join(dir, "active"), []byte(active), 0o600); err != nil {
			t.Fatal(err)
		}
		keys, err := library.LoadKeys(dir)
		if want == "" {
			if err == nil {
				t.Errorf("active %q was accepted", active)
			}
			continue
		}
		if err != nil || keys.Ring[0].ID+" "+keys.Ring[1].ID != want || keys.Signing[0].KID()+" "+keys.Signing[1].KID() != want {
			t.Errorf("active %q: %v, %+v", active, err, keys)
		}
		if keys.PasskeySecret("shop").Reveal() != one.PasskeySecret("shop").Reveal() {
			t.Error("the secret of passkeys changed with the keyring")
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "keyring-a.key"), []byte("not base64url!"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := library.LoadKeys(dir); err == nil || !strings.Contains(err.Error(), "keyring-a.key") || strings.Contains(err.Error(), "not base64url") {
		t.Errorf("a damaged file: %v", err)
	}
}
