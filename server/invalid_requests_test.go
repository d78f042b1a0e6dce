package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
)

// An invalidRequest is a request that must be rejected, and the field that the problem must name.
type invalidRequest struct {
	name, body, field string
	headers           []string
}

func invalidStarts() []invalidRequest {
	const rest = `"strategy":"otp","purpose":"sign_in","channel":"sms"`
	return []invalidRequest{
		{name: "nothing", body: "", field: "body", headers: []string{"Content-Type", "application/json"}},
		{name: "white space", body: "  ", field: "body"},
		{name: "an array", body: `[]`, field: "body"},
		{name: "a string", body: `"otp"`, field: "body"},
		{name: "a number", body: `7`, field: "body"},
		{name: "null", body: `null`, field: "body"},
		{name: "true", body: `true`, field: "body"},
		{name: "no JSON", body: `strategy=otp`, field: "body"},
		{name: "cut off", body: `{"strategy":"otp"`, field: "body"},
		{name: "cut off in a string", body: `{"strategy":"ot`, field: "strategy"},
		{name: "a second document", body: signInRequest + `{}`, field: "body"},
		{name: "a second document on a line of its own", body: signInRequest + "\n" + signInRequest, field: "body"},
		{name: "text behind", body: signInRequest + `x`, field: "body"},
		{name: "a comment", body: `{/*x*/` + rest + `}`, field: "body"},
		{name: "a comma at the end", body: `{` + rest + `,}`, field: "body"},
		{name: "single quotes", body: `{'strategy':'otp'}`, field: "body"},
		{name: "a byte order mark", body: "\ufeff" + signInRequest, field: "body"},
		{name: "bytes that are no UTF-8", body: `{` + rest + `,"to":"+1` + "\xff" + `"}`, field: "to"},
		{name: "half a surrogate pair", body: `{` + rest + `,"to":"\ud83d"}`, field: "to"},
		{name: "a control character", body: `{` + rest + `,"to":"a` + "\x01" + `"}`, field: "to"},
		{name: "too long", body: `{"nonce":"` + strings.Repeat("a", 64<<10) + `"}`, field: "body"},
		{name: "a very deep one", body: strings.Repeat(`{"transaction":`, 4000), field: "transaction.transaction.transaction.transaction"},
		{name: "no strategy", body: `{"purpose":"sign_in"}`, field: "strategy"},
		{name: "no purpose", body: `{"strategy":"otp"}`, field: "purpose"},
		{name: "an empty strategy", body: `{"strategy":"","purpose":"sign_in"}`, field: "strategy"},
		{name: "an unknown name", body: `{` + rest + `,"phone":"+1"}`, field: "phone"},
		{name: "an unknown name that is none", body: `{` + rest + `,"a b\n<x>":"+1"}`, field: "body"},
		{name: "an empty name", body: `{` + rest + `,"":"+1"}`, field: "body"},
		{name: "a name in another case", body: `{"Strategy":"otp","purpose":"sign_in"}`, field: "Strategy"},
		{name: "a name in capitals", body: `{` + rest + `,"TO":"+1"}`, field: "TO"},
		{name: "a name without its hyphen", body: `{` + rest + `,"returnurl":"https://x.example"}`, field: "returnurl"},
		{name: "a name twice", body: `{` + rest + `,"to":"+1","to":"+2"}`, field: "to"},
		{name: "a name twice, escaped", body: `{` + rest + `,"to":"+1","\u0074o":"+2"}`, field: "to"},
		{name: "a nested name twice", body: `{` + rest + `,"client":{"ip":"::1","ip":"::2"}}`, field: "client.ip"},
		{name: "a transaction's name twice", body: `{` + rest + `,"transaction":{"amount":"1","amount":"2"}}`, field: "transaction.amount"},
		{name: "an unknown nested name", body: `{` + rest + `,"client":{"address":"::1"}}`, field: "client.address"},
		{name: "a nested name in another case", body: `{` + rest + `,"client":{"IP":"::1"}}`, field: "client.IP"},
		{name: "a number for a string", body: `{` + rest + `,"to":14155550123}`, field: "to"},
		{name: "an array for a string", body: `{` + rest + `,"to":["+14155550123","+14155550124"]}`, field: "to"},
		{name: "an object for a string", body: `{` + rest + `,"to":{"number":"+1"}}`, field: "to"},
		{name: "null for a required string", body: `{"strategy":null,"purpose":"sign_in"}`, field: "strategy"},
		{name: "null in a map", body: `{` + rest + `,"transaction":{"amount":null}}`, field: "transaction.amount"},
		{name: "a number in a map", body: `{` + rest + `,"transaction":{"amount":40.00}}`, field: "transaction.amount"},
		{name: "an object in a map", body: `{` + rest + `,"metadata":{"order":{"id":"17"}}}`, field: "metadata.order"},
		{name: "a list for a map", body: `{` + rest + `,"metadata":["order"]}`, field: "metadata"},
		{name: "a string for an object", body: `{` + rest + `,"client":"203.0.113.7"}`, field: "client"},
		{name: "a string for a boolean", body: `{` + rest + `,"decoy":"true"}`, field: "decoy"},
		{name: "a number for a boolean", body: `{` + rest + `,"client":{"known":1}}`, field: "client.known"},
		{name: "an address that is none", body: `{` + rest + `,"to":"+1","client":{"ip":"localhost"}}`, field: "client.ip"},
		{name: "a purpose that is none", body: `{"strategy":"otp","purpose":"Sign In","channel":"sms","to":"+1"}`, field: "purpose"},
		{name: "a strategy that is none", body: `{"strategy":"palm","purpose":"sign_in"}`, field: "strategy"},
		{name: "a channel that is none", body: `{"strategy":"otp","purpose":"sign_in","channel":"pigeon","to":"+1"}`, field: "channel"},
		{name: "nowhere to send", body: `{` + rest + `}`, field: "to"},
		{name: "a language that is none", body: `{` + rest + `,"to":"+1","locale":"../en"}`, field: "locale"},
		{name: "a subject with a line end", body: `{` + rest + `,"to":"+1","subject":"a\nb"}`, field: "subject"},
		{name: "a proof for nothing", body: `{` + rest + `,"to":"+1","authorization":"eyJ"}`, field: "authorization"},
		{name: "a place to return that is not listed", body: `{` + rest + `,"to":"+1","return_url":"https://app.example.org/"}`, field: "return_url"},
		{name: "another type", body: signInRequest, field: "Content-Type", headers: []string{"Content-Type", "text/plain"}},
		{name: "a form's type", body: signInRequest, field: "Content-Type", headers: []string{"Content-Type", "application/x-www-form-urlencoded"}},
		{name: "no type", body: signInRequest, field: "Content-Type", headers: []string{"Content-Type", ""}},
		{name: "a longer type", body: signInRequest, field: "Content-Type", headers: []string{"Content-Type", "application/json5"}},
		{name: "another charset", body: signInRequest, field: "Content-Type", headers: []string{"Content-Type", "application/json; charset=utf-16"}},
		{name: "a parameter", body: signInRequest, field: "Content-Type", headers: []string{"Content-Type", "application/json; version=2"}},
		{name: "an empty idempotency key", body: signInRequest, field: "Idempotency-Key", headers: []string{"Idempotency-Key", " "}},
		{name: "a long idempotency key", body: signInRequest, field: "Idempotency-Key", headers: []string{"Idempotency-Key", strings.Repeat("k", 256)}},
		{name: "an idempotency key with a space", body: signInRequest, field: "Idempotency-Key", headers: []string{"Idempotency-Key", "a b"}},
		{name: "an idempotency key beyond ASCII", body: signInRequest, field: "Idempotency-Key", headers: []string{"Idempotency-Key", "schlüssel"}},
	}
}

func TestStartNamesInvalidField(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	for _, c := range invalidStarts() {
		t.Run(c.name, func(t *testing.T) { requireInvalidField(t, ts, "/v1/challenges", c) })
	}
	if n := ts.outbox.count(); n != 0 {
		t.Errorf("%d messages for rejected requests", n)
	}
}

// requireInvalidField requires a 400 that names this field only.
func requireInvalidField(t *testing.T, ts *testServer, target string, c invalidRequest) {
	t.Helper()
	r := ts.post(target, c.body, c.headers...).want(t, http.StatusBadRequest, "invalid_request")
	if !slices.Equal(r.errorFields(), []string{c.field}) {
		t.Errorf("names %q, want %q: %s", r.errorFields(), c.field, r.text)
	}
	if strings.Contains(r.text, "unmarshal") || strings.Contains(r.text, "json:") || strings.Contains(r.text, "jsontext") {
		t.Errorf("the text of a library's error: %s", r.text)
	}
}

func TestCheckNamesInvalidFieldAndChargesNoTry(t *testing.T) {
	ts := newTestServer(t, serverOptions{strategies: []watchword.Strategy{factorStrategy{object: true}}})
	id := ts.startChallenge()
	object := ts.post("/v1/challenges", `{"strategy":"hardware","purpose":"mfa","subject":"user_42"}`).want(t, http.StatusCreated, "").stringAt("id")
	const who = `"purpose":"sign_in","subject":"user_42"`
	cases := []invalidRequest{
		{name: "no answer", body: `{` + who + `}`, field: "answer"},
		{name: "an empty answer", body: `{` + who + `,"answer":""}`, field: "answer"},
		{name: "a number", body: `{` + who + `,"answer":492039}`, field: "answer"},
		{name: "a number with leading zeros", body: `{` + who + `,"answer":092039}`, field: "answer"},
		{name: "a list of codes", body: `{` + who + `,"answer":["000000","000001"]}`, field: "answer"},
		{name: "an empty list", body: `{` + who + `,"answer":[]}`, field: "answer"},
		{name: "null", body: `{` + who + `,"answer":null}`, field: "answer"},
		{name: "true", body: `{` + who + `,"answer":true}`, field: "answer"},
		{name: "an object where a string is asked", body: `{` + who + `,"answer":{"code":"492039"}}`, field: "answer"},
		{name: "two answers", body: `{` + who + `,"answer":"000000","answer":"000001"}`, field: "answer"},
		{name: "an answer in another case", body: `{` + who + `,"Answer":"000000"}`, field: "Answer"},
		{name: "a code", body: `{` + who + `,"answer":"000000","code":"000000"}`, field: "code"},
		{name: "subject and address", body: `{` + who + `,"to":"+14155550123","answer":"000000"}`, field: "to"},
		{name: "neither", body: `{"purpose":"sign_in","answer":"000000"}`, field: "subject"},
		{name: "a subject that is a list", body: `{"purpose":"sign_in","subject":["user_42"],"answer":"000000"}`, field: "subject"},
		{name: "no purpose", body: `{"subject":"user_42","answer":"000000"}`, field: "purpose"},
		{name: "a transaction that is none", body: `{` + who + `,"answer":"000000","transaction":{"amount":4}}`, field: "transaction.amount"},
		{name: "a client that is none", body: `{` + who + `,"answer":"000000","client":{"ip":"somewhere"}}`, field: "client.ip"},
		{name: "a client with a zone", body: `{` + who + `,"answer":"000000","client":{"ip":"fe80::1%eth0"}}`, field: "client.ip"},
		{name: "a client with a long user agent", body: `{` + who + `,"answer":"000000","client":{"user_agent":"` + strings.Repeat("a", 2049) + `"}}`, field: "client.user_agent"},
		{name: "a client with a line end", body: `{` + who + `,"answer":"000000","client":{"user_agent":"a\nb"}}`, field: "client.user_agent"},
		{name: "a purpose that is null", body: `{"purpose":null,"subject":"user_42","answer":"000000"}`, field: "purpose"},
		{name: "a megabyte", body: `{` + who + `,"answer":"` + strings.Repeat("0", 1<<20) + `"}`, field: "body"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { requireInvalidField(t, ts, "/v1/challenges/"+id+"/check", c) })
	}
	for _, c := range []invalidRequest{
		{name: "a string where an object is asked", body: `{"purpose":"mfa","subject":"user_42","answer":"{}"}`, field: "answer"},
		{name: "a name twice in the object", body: `{"purpose":"mfa","subject":"user_42","answer":{"a":1,"a":2}}`, field: "answer.a"},
	} {
		t.Run(c.name, func(t *testing.T) { requireInvalidField(t, ts, "/v1/challenges/"+object+"/check", c) })
	}
	for _, id := range []string{id, object} {
		if left := ts.get("/v1/challenges/" + id).valueAt("attempts_remaining"); left != 5.0 {
			t.Errorf("%v tries are left of 5", left)
		}
	}
}

func TestOtherOperationsNameInvalidField(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	one := "/v1/challenges/" + ts.startChallenge()
	for target, cases := range map[string][]invalidRequest{
		one + "/redeem": {
			{name: "no handle", body: `{"purpose":"sign_in","subject":"user_42"}`, field: "handle"},
			{name: "no purpose", body: `{"handle":"hd_x","subject":"user_42"}`, field: "purpose"},
			{name: "subject and address", body: `{"handle":"hd_x","purpose":"sign_in","subject":"a","to":"b"}`, field: "to"},
			{name: "a handle that is a list", body: `{"handle":["hd_x"],"purpose":"sign_in"}`, field: "handle"},
		},
		one + "/resend": {
			{name: "a code", body: `{"code":"000000"}`, field: "code"},
			{name: "a channel that is none", body: `{"channel":"pigeon"}`, field: "channel"},
			{name: "no type", body: `{}`, field: "Content-Type", headers: []string{"Content-Type", ""}},
		},
		one + "/cancel": {
			{name: "a reason", body: `{"reason":"x"}`, field: "reason"},
			{name: "a list", body: `[]`, field: "body"},
		},
		"/v1/receipts/redeem": {
			{name: "no receipt", body: `{"purpose":"sign_in"}`, field: "receipt"},
			{name: "no purpose", body: `{"receipt":"x"}`, field: "purpose"},
			{name: "a receipt that is an object", body: `{"receipt":{},"purpose":"sign_in"}`, field: "receipt"},
		},
	} {
		for _, c := range cases {
			t.Run(target[len(target)-6:]+" "+c.name, func(t *testing.T) { requireInvalidField(t, ts, target, c) })
		}
	}
	if r := ts.get(one); r.stringAt("status") != "pending" {
		t.Errorf("a rejected request changed the challenge: %s", r.text)
	}
}

func TestQueryNamesInvalidParameter(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	one := "/v1/challenges/" + ts.startChallenge()
	for query, field := range map[string]string{
		"wait=":          "wait",
		"wait=-1":        "wait",
		"wait=26":        "wait",
		"wait=1.5":       "wait",
		"wait=1s":        "wait",
		"wait=%200":      "wait",
		"wait=%2B0":      "wait",
		"wait=-0":        "wait",
		"wait=00":        "wait",
		"wait=05":        "wait",
		"wait=0x5":       "wait",
		"wait=1_0":       "wait",
		"wait=0&wait=25": "wait",
		"Wait=0":         "Wait",
		"key=dev":        "key",
		"a%20b=1":        "query",
		"wait=%zz":       "query",
		"wait=0;x=1":     "query",
	} {
		r := ts.get(one+"?"+query).want(t, http.StatusBadRequest, "invalid_request")
		if !slices.Equal(r.errorFields(), []string{field}) {
			t.Errorf("%s: names %q, want %q", query, r.errorFields(), field)
		}
	}
	ts.get(one+"?wait=0").want(t, http.StatusOK, "")
}

func TestStartNamesAllMissingFields(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	r := ts.post("/v1/challenges", `{}`).want(t, http.StatusBadRequest, "invalid_request")
	if !slices.Equal(r.errorFields(), []string{"strategy", "purpose"}) {
		t.Errorf("names %q", r.errorFields())
	}
}

// A chunked body has no Content-Length.
func TestBodyOfUnknownLengthIsLimited(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	chunked := func(body string) *apiResponse {
		r := newRequest(http.MethodPost, "/v1/challenges", body)
		r.ContentLength = -1
		return ts.send(r)
	}
	fitting := signInRequest + strings.Repeat(" ", 64<<10-len(signInRequest))
	chunked(fitting).want(t, http.StatusCreated, "")
	if r := chunked(fitting+" ").want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.errorFields(), []string{"body"}) {
		t.Errorf("names %q", r.errorFields())
	}
	for _, body := range []string{signInRequest, fitting[:5000], fitting[:64<<10-1]} {
		short := newRequest(http.MethodPost, "/v1/challenges", body)
		short.ContentLength = int64(len(body)) + 1
		if r := ts.send(short).want(t, http.StatusBadRequest, "invalid_request"); !slices.Equal(r.errorFields(), []string{"body"}) {
			t.Errorf("%d bytes: names %q", len(body), r.errorFields())
		}
	}
}

func TestContentTypeVariantsAreAccepted(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON;charset=UTF-8"} {
		ts.post("/v1/challenges", signInRequest, "Content-Type", contentType).want(t, http.StatusCreated, "")
	}
}

// TestErrorsDoNotRepeatInput sends a marker in every place that takes a value, and searches the responses for it. Only a
// successful start may repeat the subject.
func TestErrorsDoNotRepeatInput(t *testing.T) {
	ts := newTestServer(t, serverOptions{})
	id := ts.startChallenge()
	const marker = "Ma4k3rQ"
	values := []string{`"%s"`, `{"x":"%s"}`, `["%s"]`, `"%s`, `%s`, `"\u0000%s"`, `"%s\n"`, `{"%s`, `"+999%s"`, `"@%s"`}
	names := []string{"strategy", "purpose", "channel", "to", "subject", "locale", "transaction", "client", "return_url", "nonce",
		"metadata", "label", "factor", "decoy", "authorization", "answer", "handle", "receipt"}
	targets := []string{"/v1/challenges", "/v1/challenges/" + id + "/check", "/v1/challenges/" + id + "/redeem", "/v1/challenges/" + id + "/resend",
		"/v1/receipts/redeem", "/v1/challenges/ch_" + marker + "/check", "/v1/" + marker, "/" + marker}
	rapid.Check(t, func(t *rapid.T) {
		var body strings.Builder
		body.WriteString(`{"purpose":"sign_in"`)
		for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 4, rapid.ID[string]).Draw(t, "names") {
			value := strings.ReplaceAll(rapid.SampledFrom(values).Draw(t, "value"), "%s", marker)
			body.WriteString(`,"` + n + `":` + value)
		}
		body.WriteString(`}`)
		headers := []string{"Idempotency-Key", marker + " ", "Content-Type", "application/" + marker, "X-Forwarded-For", marker, "Authorization", "Bearer " + marker}
		chosen := headers[:2*rapid.IntRange(0, 4).Draw(t, "headers")]
		r := ts.post(rapid.SampledFrom(targets).Draw(t, "target"), body.String(), chosen...)
		if r.status >= 400 && strings.Contains(r.text, marker) {
			t.Fatalf("%d: the response repeats the input: %s", r.status, r.text)
		}
		for name, value := range r.header {
			if strings.Contains(strings.Join(value, ""), marker) {
				t.Fatalf("the header %s repeats the input", name)
			}
		}
	})
	if strings.Contains(ts.log.String(), marker) {
		t.Error("the log repeats the input")
	}
}
