package webhook_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/webhook"
)

func TestNewDispatcherChecksEndpointURLsAndTypes(t *testing.T) {
	const good = "https://example.com/events?secret=" + secretA
	tests := []struct {
		url   string
		types []string
		dev   bool
		want  string // part of the error; empty: no error
	}{
		{good, nil, false, ""},
		{"webhook+" + good, nil, false, ""},
		{good + "&secret=" + secretB, nil, false, ""},
		{"http://localhost:1/?secret=" + secretA, nil, true, ""},
		{"http://localhost:1/?secret=" + secretA, nil, false, "plain http"},
		{"http://example.com/?secret=" + secretA, nil, true, "plain http"},
		{"http://[::ffff:127.0.0.1]:1/?secret=" + secretA, nil, true, "IPv4-mapped"},
		{"https://[::ffff:a00:1]/?secret=" + secretA, nil, false, "IPv4-mapped"},
		{"", nil, false, "missing"},
		{"https://example.com/events", nil, false, "secret is missing"},
		{"https://exa mple.com/\x7f", nil, false, "cannot be parsed"},
		{"ftp://example.com/?secret=" + secretA, nil, false, "scheme"},
		{good + "&format=clerk", nil, false, "one format"},
		{good + "&token=1", nil, false, "unknown parameter"},
		{good, []string{"challenge.approved", "factor.*"}, false, ""},
		{good, []string{"challenge.approve"}, false, "Endpoints[0].Types[0]: is no event"},
		{good, []string{"challenge.*", "chalenge.*"}, false, "Endpoints[0].Types[1]: is no event"},
		{good, []string{"challenge*"}, false, "is no event"},
		{good, []string{"*"}, false, "is no event"},
		{good, []string{".*"}, false, "is no event"},
		{good, []string{""}, false, "is no event"},
		{good, []string{"Challenge.approved"}, false, "is no event"},
		{good, []string{"message.send"}, false, "is no event"},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.url, tt.types), func(t *testing.T) {
			_, err := webhook.NewDispatcher(webhook.DispatcherConfig{Environment: delivery.Environment{Development: tt.dev},
				Endpoints: []webhook.Endpoint{{URL: watchword.NewCode(tt.url), Types: tt.types}}})
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want it to say %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "C2FVs"):
				t.Errorf("the error contains the secret: %v", err)
			}
		})
	}
}

func TestNewDispatcherReportsEveryProblem(t *testing.T) {
	_, err := webhook.NewDispatcher(webhook.DispatcherConfig{Endpoints: []webhook.Endpoint{
		{URL: watchword.NewCode("http://hunter2@example.com/"), Types: []string{"hunter2"}}, {}}})
	for _, want := range []string{"Endpoints[0].URL: ", "plain http", "user or password", "secret is missing", "Endpoints[0].Types[0]", "Endpoints[1].URL: missing"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the error repeats the configuration: %v", err)
	}
}

// Every event type of the engine can be selected by its name and by a pattern. Events reach exactly the endpoints that selected them.
func TestEndpointTypesSelectEveryEngineEvent(t *testing.T) {
	names := engineEvents(t)
	if len(names) < 13 {
		t.Fatalf("the engine has %v", names)
	}
	all, challenges := newListener(t, acceptEvent), newListener(t, acceptEvent)
	named := newListener(t, acceptEvent)
	s := startDispatcher(t, webhook.DispatcherConfig{}, all.endpoint(), challenges.endpoint("challenge.*"), named.endpoint(names...))
	for _, name := range names {
		s.HandleEvent(t.Context(), watchword.Event{Type: name, App: "shop"})
	}
	for _, name := range names {
		for _, l := range []*listener{all, named} {
			if got := l.next(t).doc.Type; got != name {
				t.Errorf("got %s, want %s", got, name)
			}
		}
		if strings.HasPrefix(name, "challenge.") {
			if got := challenges.next(t).doc.Type; got != name {
				t.Errorf("got %s, want %s", got, name)
			}
		}
	}
	if err := s.shutDown(t); err != nil || len(challenges.received) != 0 {
		t.Errorf("%v; %d more", err, len(challenges.received))
	}
}

// engineEvents returns the values of the engine's constants Event... .
func engineEvents(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../events.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Event") {
			return true
		}
		names = append(names, strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`))
		return true
	})
	slices.Sort(names)
	return names
}
