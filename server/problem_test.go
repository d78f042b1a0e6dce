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

// table is the contract's table of problems, once more: the test's own copy.
var table = map[string]int{
	"invalid_request": 400, "not_found": 404, "method_not_allowed": 405, "internal_error": 500,
	"idempotency_mismatch": 422, "idempotency_in_flight": 409, "unauthorized": 401, "forbidden": 403,
	"unknown_challenge": 404, "unknown_factor": 404, "incorrect_answer": 422, "attempts_exhausted": 410,
	"challenge_expired": 410, "challenge_canceled": 410, "challenge_approved": 409, "not_answered": 409,
	"not_enrolled": 409, "factor_disabled": 403, "proof_required": 403, "rate_limited": 429, "too_many_guesses": 429,
	"resend_too_soon": 429, "sends_exhausted": 429, "destination_refused": 403, "receipt_used": 409, "receipt_invalid": 422,
	"unavailable": 503,
}

// TestEveryProblem makes a strategy fail with each code in turn.
func TestEveryProblem(t *testing.T) {
	var err error
	b := newBench(t, options{strategies: []watchword.Strategy{faulty{func() error { return err }}}})
	b.openapi = nil // a start does not have all of them
	for code, status := range table {
		err = &watchword.Error{Code: code, Remaining: 3, Limit: "the-limit", Reason: "country", RetryAfter: time.Millisecond,
			Fields: []watchword.FieldError{{Field: "to", Reason: "is bad"}}, Cause: errDown}
		r := b.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa"}`).want(t, status, code)
		if r.header.Get("Retry-After") != "1" {
			t.Errorf("%s: Retry-After %q", code, r.header.Get("Retry-After"))
		}
		if (r.at("attempts_remaining") == 3.0) != (code == "incorrect_answer") || (r.str("challenge_status") == "locked") != (code == "attempts_exhausted") {
			t.Errorf("%s: %s", code, r.text)
		}
		if strings.Contains(r.text, "10.0.0.7") {
			t.Errorf("%s tells its cause", code)
		}
	}
	err = &watchword.Error{Code: "something_new"}
	b.post("/v1/challenges", `{"strategy":"faulty","purpose":"mfa"}`).want(t, http.StatusInternalServerError, "internal_error")
}

// TestTheEnginesCodesAreKnown reads them in the source of the root package.
func TestTheEnginesCodesAreKnown(t *testing.T) {
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
					if table[code] == 0 {
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

// planned are codes that the contract has for verifications, which are not offered yet.
var planned = map[string]bool{"unknown_verification": true, "unknown_method": true, "part_of_verification": true, "return_code_invalid": true}

// TestTheTableIsTheContracts reads it where the contract lies beside the repository.
func TestTheTableIsTheContracts(t *testing.T) {
	text, err := os.ReadFile("../../shared/API.md")
	if err != nil {
		t.Skip("the contract (API.md) is not at hand")
	}
	_, problems, _ := strings.Cut(string(text), "## Problems")
	problems, _, _ = strings.Cut(problems, "\n## ")
	seen := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([a-z_, /]+) \| ([0-9 /]+) \|`).FindAllStringSubmatch(problems, -1) {
		codes, statuses := regexp.MustCompile(`[a-z_]+`).FindAllString(row[1], -1), regexp.MustCompile(`\d+`).FindAllString(row[2], -1)
		for n, code := range codes {
			seen[code] = true
			if planned[code] && table[code] == 0 {
				continue
			}
			if want := statuses[min(n, len(statuses)-1)]; strconv.Itoa(table[code]) != want {
				t.Errorf("%s is %d here and %s there", code, table[code], want)
			}
		}
	}
	for code := range table {
		if !seen[code] {
			t.Errorf("%s is not in the contract", code)
		}
	}
}

func TestEveryProblemHasItsPage(t *testing.T) {
	b := newBench(t, options{})
	list := b.get("/problems", "Authorization", "").want(t, http.StatusOK, "")
	style := regexp.MustCompile(`(?s)<style>(.*)</style>`)
	links := regexp.MustCompile(`href="problems/([a-z_]+)"`).FindAllStringSubmatch(list.text, -1)
	if len(links) != len(table) {
		t.Errorf("%d links for %d problems", len(links), len(table))
	}
	for code, status := range table {
		if !slices.ContainsFunc(links, func(l []string) bool { return l[1] == code }) {
			t.Errorf("%s is not in the list", code)
		}
		page := b.get("/problems/"+code, "Authorization", "").want(t, http.StatusOK, "")
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
			t.Errorf("%s: no plain page", code)
		}
	}
	b.get("/problems/nothing").want(t, http.StatusNotFound, "not_found")
}

func TestNewReportsEverythingAtOnce(t *testing.T) {
	b := newBench(t, options{})
	good := goodApps(t, b)[0]
	zero, dev, unscoped, misnamed := good, good, good, good
	zero.Keys = []server.APIKey{{Scopes: []string{server.ScopeChallenges}}, key("", server.ScopeChallenges)}
	dev.Keys = []server.APIKey{key("dev", server.ScopeChallenges), key("dev-admin", server.ScopeFactorsAdmin)}
	unscoped.Keys = []server.APIKey{key("a")}
	misnamed.Keys = []server.APIKey{key("b", "challenge")}
	twice := good
	twice.Engine = b.engines["bank"]
	for name, c := range map[string]struct {
		cfg  server.Config
		says []string
	}{
		"nothing":     {server.Config{}, []string{"Apps: at least one"}},
		"an empty":    {server.Config{Apps: []server.App{{}, {}}}, []string{"Apps[0]: Engine", "Apps[0]: Signer", "Apps[0]: Keys", "Apps[0]: PublicURL", "Apps[1]: Engine"}},
		"zero keys":   {server.Config{Apps: []server.App{zero}}, []string{`app "shop": Keys[0]: SHA256 is missing`, "Keys[1]: SHA256 is that of an empty key"}},
		"dev":         {server.Config{Apps: []server.App{dev}}, []string{`Keys[0]: the key "dev" is for development only`, `Keys[1]: the key "dev-admin" is for development only`}},
		"no scope":    {server.Config{Apps: []server.App{unscoped}}, []string{"Scopes: at least one"}},
		"a bad scope": {server.Config{Apps: []server.App{misnamed}}, []string{`"challenge" is none`}},
		"one key":     {server.Config{Apps: []server.App{good, twice}}, []string{`app "bank": Keys[0]: the key is there twice`}},
		"one app":     {server.Config{Apps: []server.App{good, good}}, []string{`app "shop": is there twice`}},
	} {
		_, err := server.New(c.cfg)
		for _, says := range c.says {
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v does not say %q", name, err, says)
			}
		}
	}
	if _, err := server.New(server.Config{Apps: []server.App{dev}, Development: true}); err != nil {
		t.Error(err)
	}
	other := good
	other.Engine, other.Keys, other.Signer = b.engines["bank"], []server.APIKey{key("c", server.ScopeChallenges)}, newSigner(t, "k")
	if _, err := server.New(server.Config{Apps: []server.App{good, other}}); err == nil || !strings.Contains(err.Error(), `another key "k"`) {
		t.Errorf("two keys of one name: %v", err)
	}
}

func TestPublicURLs(t *testing.T) {
	b := newBench(t, options{})
	for text, good := range map[string]bool{
		"https://verify.example.com": true, "https://verify.example.com:8443": true, "https://example.com/verify": true,
		"http://localhost:8080": true, "http://127.0.0.1:1": true, "http://[::1]:1": true,
		"": false, "verify.example.com": false, "http://verify.example.com": false, "https://verify.example.com/": false,
		"https://user@verify.example.com": false, "https://verify.example.com?x": false, "https://verify.example.com?": false,
		"https://verify.example.com#x": false, "https://verify.example.com#": false, "ftp://verify.example.com": false, "https://": false,
		"https:verify.example.com": false, "https://verify example.com": false,
	} {
		app := goodApps(t, b)[0]
		app.PublicURL = text
		if _, err := server.New(server.Config{Apps: []server.App{app}}); (err == nil) != good {
			t.Errorf("%q: %v", text, err)
		}
	}
}
