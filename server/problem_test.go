package server_test

import (
	"crypto/sha256"
	"encoding/base64"
	"go/ast"
	"go/parser"
	"go/token"
	"html"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// problemStatuses are the statuses that the API contract defines, written independently of the code.
var problemStatuses = map[string]int{
	"invalid_request": 400, "not_found": 404, "method_not_allowed": 405, "internal_error": 500,
	"idempotency_mismatch": 422, "idempotency_in_flight": 409, "unauthorized": 401, "forbidden": 403,
	"unknown_challenge": 404, "unknown_verification": 404, "unknown_method": 404, "part_of_verification": 409, "unknown_factor": 404, "incorrect_answer": 422, "attempts_exhausted": 410,
	"challenge_expired": 410, "challenge_canceled": 410, "challenge_approved": 409, "not_answered": 409, "return_code_invalid": 422,
	"not_enrolled": 409, "factor_disabled": 403, "proof_required": 403, "rate_limited": 429, "too_many_guesses": 429,
	"resend_too_soon": 429, "sends_exhausted": 429, "destination_refused": 403, "receipt_used": 409, "receipt_invalid": 422,
	"unavailable": 503,
}

// TestEveryProblemCodeReturnsItsStatus makes a strategy fail with each code.
func TestEveryProblemCodeReturnsItsStatus(t *testing.T) {
	var err error
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{failingStrategy{func() error { return err }}}})
	ts.contract = nil // a start does not have all codes
	for code, status := range problemStatuses {
		err = &watchword.Error{Code: code, Remaining: 3, Limit: "the-limit", Reason: "country", RetryAfter: time.Millisecond,
			Fields: []watchword.FieldError{{Field: "to", Reason: "is bad"}}, Cause: errConnectionRefused}
		r := ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa"}`).want(t, status, code)
		if r.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", code, r.header.Get("Retry-After"))
		}
		if (r.valueAt("attempts_remaining") == 3.0) != (code == "incorrect_answer") || (r.stringAt("challenge_status") == "locked") != (code == "attempts_exhausted") {
			t.Errorf("%s: %s", code, r.text)
		}
		if strings.Contains(r.text, "10.0.0.7") {
			t.Errorf("%s: the response contains the cause", code)
		}
	}
	err = &watchword.Error{Code: "something_new"}
	ts.post("/v1/challenges", `{"strategy":"failing","purpose":"mfa"}`).want(t, http.StatusInternalServerError, "internal_error")
}

// TestEngineErrorCodesAreDocumented reads the codes from the source of the root package.
func TestEngineErrorCodesAreDocumented(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../errors.go", nil, 0)
	must(t, err)
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		if pair, ok := n.(*ast.KeyValueExpr); ok {
			if name, ok := pair.Key.(*ast.Ident); ok && name.Name == "Code" {
				if text, ok := pair.Value.(*ast.BasicLit); ok {
					found++
					code, err := strconv.Unquote(text.Value)
					must(t, err)
					if problemStatuses[code] == 0 {
						t.Errorf("%s is not in the table", code)
					}
				}
			}
		}
		return true
	})
	if found < 20 {
		t.Errorf("only %d codes", found)
	}
}

// plannedCodes are the contract's codes of verifications, an operation that the server does not offer.
var plannedCodes = map[string]bool{"unknown_verification": true, "unknown_method": true, "part_of_verification": true}

// TestProblemStatusesMatchContract reads the contract if it is next to the repository.
func TestProblemStatusesMatchContract(t *testing.T) {
	text, err := os.ReadFile("../../shared/API.md")
	if err != nil {
		t.Skip("the contract (API.md) is not available")
	}
	_, problems, _ := strings.Cut(string(text), "## Problems")
	problems, _, _ = strings.Cut(problems, "\n## ")
	seen := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z_, /]+) \| ([0-9 /]+) \|`).FindAllStringSubmatch(problems, -1) {
		codes, statuses := regexp.MustCompile(`[a-z_]+`).FindAllString(row[1], -1), regexp.MustCompile(`\d+`).FindAllString(row[2], -1)
		for n, code := range codes {
			seen[code] = true
			if plannedCodes[code] && problemStatuses[code] == 0 {
				continue
			}
			if want := statuses[min(n, len(statuses)-1)]; strconv.Itoa(problemStatuses[code]) != want {
				t.Errorf("%s is %d here and %s there", code, problemStatuses[code], want)
			}
		}
	}
	for code := range problemStatuses {
		if !seen[code] {
			t.Errorf("%s is not in the contract", code)
		}
	}
}

func TestEveryProblemHasPage(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	list := ts.get("/problems", "Authorization", "").want(t, http.StatusOK, "")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`)
	links := regexp.MustCompile(`href="problems/([a-z_]+)"`).FindAllStringSubmatch(list.text, -1)
	if len(links) != len(problemStatuses) {
		t.Errorf("%d links for %d problems", len(links), len(problemStatuses))
	}
	for code, status := range problemStatuses {
		if !slices.ContainsFunc(links, func(l []string) bool { return l[1] == code }) {
			t.Errorf("%s is not in the list", code)
		}
		page := ts.get("/problems/"+code, "Authorization", "").want(t, http.StatusOK, "")
		for _, part := range []string{"<code>" + code + "</code>", strconv.Itoa(status), "What it means", "What to do"} {
			if !strings.Contains(page.text, part) {
				t.Errorf("%s: its page has no %q", code, part)
			}
		}
		css := style.FindStringSubmatch(page.text)
		if css == nil {
			t.Fatal("no style")
		}
		hash := sha256.Sum256([]byte(css[1]))
		policy := page.header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'") || !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'") {
			t.Errorf("%s: policy %q", code, policy)
		}
		if page.header.Get("Content-Type") != "text/html; charset=utf-8" || strings.Contains(page.text, "<script") || strings.Contains(html.UnescapeString(page.text), "src=") {
			t.Errorf("%s: the page has a script or a resource", code)
		}
	}
	ts.get("/problems/nothing").want(t, http.StatusNotFound, "not_found")
}

func TestNewReportsAllConfigurationErrors(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	good := validApps(t, ts)[0]
	zero, dev, unscoped, misnamed := good, good, good, good
	zero.Keys = []server.APIKey{{Scopes: []string{server.ScopeChallenges}}, newAPIKey("", server.ScopeChallenges)}
	dev.Keys = []server.APIKey{newAPIKey("dev", server.ScopeChallenges), newAPIKey("dev-admin", server.ScopeFactorsAdmin)}
	unscoped.Keys = []server.APIKey{newAPIKey("a")}
	misnamed.Keys = []server.APIKey{newAPIKey("b", "challenge")}
	twice := good
	twice.Engine = ts.engines["bank"]
	for name, c := range map[string]struct {
		cfg  server.Config
		want []string
	}{
		"nothing":     {server.Config{}, []string{"Apps: at least one"}},
		"an empty":    {server.Config{Apps: []server.App{{}, {}}}, []string{"Apps[0]: Engine", "Apps[0]: Signer", "Apps[0]: Keys", "Apps[0]: PublicURL", "Apps[1]: Engine"}},
		"zero keys":   {server.Config{Apps: []server.App{zero}}, []string{`app "shop": Keys[0]: SHA256 is missing`, "Keys[1]: SHA256 is that of an empty key"}},
		"dev":         {server.Config{Apps: []server.App{dev}}, []string{`Keys[0]: the key "dev" is for development only`, `Keys[1]: the key "dev-admin" is for development only`}},
		"no scope":    {server.Config{Apps: []server.App{unscoped}}, []string{"Scopes: at least one"}},
		"a bad scope": {server.Config{Apps: []server.App{misnamed}}, []string{`unknown scope "challenge"`}},
		"one key":     {server.Config{Apps: []server.App{good, twice}}, []string{`app "bank": Keys[0]: the key is listed twice`}},
		"one app":     {server.Config{Apps: []server.App{good, good}}, []string{`app "shop": is listed twice`}},
	} {
		_, err := server.New(c.cfg)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v does not contain %q", name, err, want)
			}
		}
	}
	if _, err := server.New(server.Config{Apps: []server.App{dev}, Development: true}); err != nil {
		t.Error(err)
	}
	other := good
	other.Engine, other.Keys, other.Signer = ts.engines["bank"], []server.APIKey{newAPIKey("c", server.ScopeChallenges)}, newSigner(t, "k")
	if _, err := server.New(server.Config{Apps: []server.App{good, other}}); err == nil || !strings.Contains(err.Error(), `another key "k"`) {
		t.Errorf("two signing keys with one kid: %v", err)
	}
}

func TestNewChecksPublicURL(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	for text, good := range map[string]bool{
		"https://verify.example.com": true, "https://verify.example.com:8443": true, "https://example.com/verify": true,
		"http://localhost:8080": true, "http://127.0.0.1:1": true, "http://[::1]:1": true,
		"": false, "verify.example.com": false, "http://verify.example.com": false, "https://verify.example.com/": false,
		"https://user@verify.example.com": false, "https://verify.example.com?x": false, "https://verify.example.com?": false,
		"https://verify.example.com#x": false, "https://verify.example.com#": false, "ftp://verify.example.com": false, "https://": false,
		"https:verify.example.com": false, "https://verify example.com": false,
	} {
		app := validApps(t, ts)[0]
		app.PublicURL = text
		if _, err := server.New(server.Config{Apps: []server.App{app}}); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
