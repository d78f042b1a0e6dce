package enginetest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/watchword-auth/watchword"
)

func TestCodeIsNotPrinted(t *testing.T) {
	const text = "492039"
	code := watchword.NewCode(text)
	holder := struct {
		Code   watchword.Code
		hidden watchword.Code
		Many   []watchword.Code
		In     map[string]watchword.Code
	}{code, code, []watchword.Code{code}, map[string]watchword.Code{"a": code}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", code, &code, holder)
	}
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(h).Info("code", "code", code, "holder", holder, "pointer", &code)
	}
	if err := json.NewEncoder(&out).Encode(holder); err != nil {
		t.Fatal(err)
	}
	if err := template.Must(template.New("").Parse("{{.Code}} {{.}}")).Execute(&out, holder); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() { fmt.Fprint(&out, recover()) }()
		panic(code)
	}()
	key, err := watchword.NewKey("id", bytes.Repeat([]byte(text), 6))
	if err != nil {
		t.Fatal(err)
	}
	var around any = struct{ Key watchword.Key }{key}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		fmt.Fprintf(&out, verb, around)
	}
	if got := out.String(); strings.Contains(got, text) || strings.Contains(got, fmt.Sprintf("%x", text)) || !strings.Contains(got, "[secret]") {
		t.Fatalf("a secret got out:\n%s", got)
	}
	if code.Reveal() != text || (watchword.Code{}).Reveal() != "" || !(watchword.Code{}).IsZero() {
		t.Fatal("Reveal")
	}
}
