package webauthn

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// ceremonies maps a purpose of each ceremony to a function that returns a right answer.
var ceremonies = map[string]func(d *device, options map[string]any) string{
	watchword.PurposeEnrol: func(d *device, options map[string]any) string { return d.create(options) },
	"sign_in":              func(d *device, options map[string]any) string { return d.get(options) },
}

// editAnswer returns an answer with changed members.
func editAnswer(t testing.TB, answer string, change func(answer, response map[string]any)) string {
	t.Helper()
	var members map[string]any
	if err := json.Unmarshal([]byte(answer), &members); err != nil {
		t.Fatal(err)
	}
	change(members, members["response"].(map[string]any))
	return encodeJSON(members)
}

func addPadding(text string) string {
	for len(text)%4 != 0 {
		text += "="
	}
	return text
}

// base64Members lists the members in base64url.
var base64Members = []string{"clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"}

// wellFormed changes a right answer into other accepted forms, for both ceremonies.
var wellFormed = map[string]func(answer, response map[string]any){
	"as browsers do": func(a, r map[string]any) {
		a["authenticatorAttachment"], a["clientExtensionResults"] = "platform", map[string]any{"credProps": map[string]any{"rk": true}}
		r["publicKey"], r["publicKeyAlgorithm"] = "AAAA", -7
	},
	"every member padded": func(a, r map[string]any) {
		a["id"], a["rawId"] = addPadding(a["id"].(string)), addPadding(a["rawId"].(string))
		for _, name := range base64Members {
			if text, ok := r[name].(string); ok {
				r[name] = addPadding(text)
			}
		}
	},
	"only rawId padded": func(a, _ map[string]any) { a["rawId"] = addPadding(a["rawId"].(string)) },
	"null for what is optional": func(a, r map[string]any) {
		a["authenticatorAttachment"], a["clientExtensionResults"], r["userHandle"], r["transports"] = nil, nil, nil, nil
	},
	"without what is optional": func(a, r map[string]any) {
		delete(a, "clientExtensionResults")
		delete(r, "userHandle")
		delete(r, "transports")
	},
	"members of a manager's own": func(a, r map[string]any) {
		a["manager"], r["constructor"], r["toString"], r["__proto__"] = "x", map[string]any{"a": 1}, []any{}, nil
	},
	"members of the other ceremony": func(_, r map[string]any) {
		if r["signature"] == nil {
			r["authenticatorData"] = "AAAA"
		} else {
			r["attestationObject"], r["transports"] = "AAAA", []string{"usb"}
		}
	},
}

func TestCheckAcceptsCredentialsInEveryForm(t *testing.T) {
	for purpose, make := range ceremonies {
		for name, change := range wellFormed {
			t.Run(purpose+", "+name, func(t *testing.T) {
				k := newKit(t)
				d := newDevice(t)
				if purpose != watchword.PurposeEnrol {
					k.enrol("user_42", d)
				}
				a := k.startChallenge(purpose, "user_42")
				right := make(d, a.options)
				if _, err := k.answer(a, editAnswer(t, right, change)); err != nil {
					t.Fatalf("%v (%s)", err, k.refusals.lastReason())
				}
				if _, err := k.answer(a, right); !errors.Is(err, watchword.ErrChallengeApproved) {
					t.Errorf("the same again in another spelling: %v", err)
				}
			})
		}
	}
}

// malformedAnswers returns changes that make a credential malformed, by the member that the error must name.
func malformedAnswers() map[string]func(answer, response map[string]any) {
	out := map[string]func(a, r map[string]any){}
	inOuter := func(name string, value any) func(a, r map[string]any) {
		return func(a, _ map[string]any) { a[name] = value }
	}
	inResponse := func(name string, value any) func(a, r map[string]any) {
		return func(_, r map[string]any) { r[name] = value }
	}
	for _, name := range []string{"id", "rawId", "type", "response", "authenticatorAttachment", "clientExtensionResults"} {
		out["answer."+name+": in capitals"] = inOuter(strings.ToUpper(name), "AAAA")
	}
	out["answer.rawId: as rawID"] = func(a, _ map[string]any) { a["rawID"] = a["rawId"]; delete(a, "rawId") }
	out["answer.response: with a long s"] = inOuter("reſponse", map[string]any{})
	for _, name := range append([]string{"transports", "publicKey", "publicKeyAlgorithm"}, base64Members...) {
		out["answer.response."+name+": in capitals"] = inResponse(strings.ToUpper(name), "AAAA")
	}
	for name, text := range map[string]any{"of base64": "+/+/", "padded too much": "AAAA=", "padded too little": "AA=", "padding alone": "====",
		"padding inside": "AA==AAAA", "over two lines": "AAAA\nAAAA", "with bits too many": "AB", "a number": 1, "a list": []any{}} {
		out["answer.id: "+name] = inOuter("id", text)
		out["answer.rawId: "+name] = inOuter("rawId", text)
		for _, member := range base64Members {
			out["answer.response."+member+": "+name] = inResponse(member, text)
		}
	}
	for name, value := range map[string]any{"null": nil, "empty": ""} {
		out["answer.id: "+name] = inOuter("id", value)
		out["answer.rawId: "+name] = inOuter("rawId", value)
		out["answer.type: "+name] = inOuter("type", value)
		out["answer.response: "+name] = inOuter("response", value)
		out["answer.response.clientDataJSON: "+name] = inResponse("clientDataJSON", value)
	}
	out["answer.id: too long"] = inOuter("id", strings.Repeat("A", 1366))
	out["answer.response.userHandle: too long"] = inResponse("userHandle", strings.Repeat("A", 88))
	out["answer.response.transports: a string"] = inResponse("transports", "usb")
	out["answer.response.transports: of numbers"] = inResponse("transports", []any{1})
	out["answer.response.clientDataJSON: no JSON"] = inResponse("clientDataJSON", "AAAA")
	return out
}

// Malformed credentials are refused in both ceremonies. The error names the member, and the challenge is not changed.
func TestCheckRefusesMalformedCredentials(t *testing.T) {
	for purpose, make := range ceremonies {
		k := newKit(t)
		d := newDevice(t)
		if purpose != watchword.PurposeEnrol {
			k.enrol("user_42", d)
		}
		a := k.startChallenge(purpose, "user_42")
		right := make(d, a.options)
		for name, change := range malformedAnswers() {
			field, _, _ := strings.Cut(name, ":")
			_, err := k.answer(a, editAnswer(t, right, change))
			if got := invalidFields(err); !slices.Equal(got, []string{field}) {
				t.Errorf("%s, %s: %v, which names %q", purpose, name, err, got)
			}
		}
		for text, field := range map[string]string{
			"{":                                   "answer",
			"[]":                                  "answer",
			`{"x":` + strings.Repeat("[", 60_000): "answer",
			strings.Replace(right, `"id":`, `"id":"AAAA","id":`, 1):                                             "answer.id",
			strings.Replace(right, `"clientDataJSON":`, `"clientDataJSON":"AAAA","clientDataJSON":`, 1):         "answer.response.clientDataJSON",
			strings.Replace(right, `"type":"public-key"`, `"type":"public-key","x":{"a":1,"a":2}`, 1):           "answer",
			strings.Replace(right, `"clientDataJSON":`, `"constructor":1,"constructor":2,"clientDataJSON":`, 1): "answer.response",
		} {
			if got := invalidFields(errorOf(k.answer(a, text))); !slices.Equal(got, []string{field}) {
				t.Errorf("%s, %.60s: names %q, want %s", purpose, text, got, field)
			}
		}
		if _, err := k.answer(a, right); err != nil {
			t.Errorf("%s: then the right answer: %v (%s)", purpose, err, k.refusals.lastReason())
		}
	}
}

func errorOf(_ *watchword.Result, err error) error { return err }

// It costs a try.
func TestCheckRefusesAnswerOfTheOtherCeremony(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	a := k.startChallenge("sign_in", "user_42")
	a.options["user"] = map[string]any{"id": "AAAA"}
	_, err := k.answer(a, d.create(a.options))
	k.wantRefusal(err, refusedType)
	a = k.startChallenge(watchword.PurposeEnrol, "user_42")
	_, err = k.answer(a, d.get(a.options))
	k.wantRefusal(err, refusedType)
}

// ReadAnswer returns a normalized credential, which it returns unchanged when called again, or an invalid request that names
// members of Level 3.
func FuzzReadAnswer(f *testing.F) {
	s := newKit(f).strategy
	d := newDevice(f)
	options := map[string]any{"challenge": b64.EncodeToString(make([]byte, 32)), "user": map[string]any{"id": "AAAA"}}
	for _, make := range ceremonies {
		right := make(d, options)
		for _, change := range wellFormed {
			f.Add(editAnswer(f, right, change))
		}
		for _, change := range malformedAnswers() {
			f.Add(editAnswer(f, right, change))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		once, err := s.ReadAnswer(text)
		if err != nil {
			fields := invalidFields(err)
			for _, name := range fields {
				if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.") != "" {
					t.Errorf("%q is named", name)
				}
			}
			if len(fields) == 0 {
				t.Errorf("refused by %v", err)
			}
			return
		}
		again, err := s.ReadAnswer(once)
		if err != nil || again != once {
			t.Errorf("%q is read as %q, and that as %q, %v", text, once, again, err)
		}
	})
}
