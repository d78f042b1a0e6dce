package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// fieldsOf returns the fields that an error of ErrInvalidRequest names.
func fieldsOf(err error) (out []string) {
	var refused *watchword.Error
	if !errors.As(err, &refused) || refused.Code != watchword.ErrInvalidRequest.Code {
		return []string{fmt.Sprint(err)}
	}
	for _, f := range refused.Fields {
		out = append(out, f.Field)
	}
	return out
}

// withKeys adds a strategy like security keys: it needs no subject, and an answer can prove two kinds of factors.
func withKeys(verify func(context.Context, *watchword.Challenge, string) (watchword.Proof, error)) func(*watchword.Config) {
	keys := &scriptedVerifier{verify: verify, properties: watchword.StrategyProperties{Tries: 1, Lifetime: 5 * time.Minute, Ask: watchword.AskKey, MultiFactor: true, PhishingResistant: true}}
	return func(c *watchword.Config) { c.Strategies = append(c.Strategies, keys) }
}

var keyMethod = watchword.MethodRequest{Strategy: "scripted"}

// A key without a subject is discoverable; with one, the subject needs a factor of that strategy.
func (k *verificationKit) enrolKey() {
	k.t.Helper()
	f := watchword.Factor{ID: "fa_key", Subject: subject, Strategy: "scripted", Data: []byte("key")}
	if err := k.ImportFactor(context.Background(), f, watchword.Authority{Admin: true}); err != nil {
		k.t.Fatal(err)
	}
}

func TestVerificationOffersOnlyWhatTheSubjectHasAndTheRequirementAllows(t *testing.T) {
	k := newVerificationKit(t, withKeys(rejectAll))
	k.enrolKey()
	factors, err := k.ListFactors(context.Background(), subject)
	if err != nil {
		t.Fatal(err)
	}
	var authenticator, token string
	for _, f := range factors {
		switch f.Strategy {
		case "totp":
			authenticator = f.ID
		case "hotp":
			token = f.ID
		}
	}
	all := []watchword.MethodRequest{keyMethod, totpMethod, smsMethod, recoveryMethod}
	cases := map[string]struct {
		change func(*watchword.VerificationRequest)
		want   string
	}{
		"everything":                   {func(*watchword.VerificationRequest) {}, "m1 m2 m3 m4"},
		"a subject without factors":    {func(r *watchword.VerificationRequest) { r.Subject = "user_43" }, "m3"},
		"two kinds in one answer":      {func(r *watchword.VerificationRequest) { r.Require = watchword.RequireMFA }, "m1"},
		"no phishing":                  {func(r *watchword.VerificationRequest) { r.Require = watchword.RequirePhishingResistant }, "m1"},
		"any":                          {func(r *watchword.VerificationRequest) { r.Require = watchword.RequireAny }, "m1 m2 m3 m4"},
		"one factor":                   {func(r *watchword.VerificationRequest) { r.Methods[1].Factor = authenticator }, "m1 m2 m3 m4"},
		"a factor of another strategy": {func(r *watchword.VerificationRequest) { r.Methods[1].Factor = token }, "m1 m3 m4"},
		"a factor of nobody":           {func(r *watchword.VerificationRequest) { r.Methods[1].Factor = "fa_x" }, "m1 m3 m4"},
		"nothing is left": {func(r *watchword.VerificationRequest) {
			r.Subject, r.Methods = "user_43", []watchword.MethodRequest{keyMethod, totpMethod}
		}, "not_enrolled"},
		"nothing meets the requirement": {func(r *watchword.VerificationRequest) {
			r.Require, r.Methods = watchword.RequireMFA, []watchword.MethodRequest{totpMethod, smsMethod}
		}, "not_enrolled"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			req := verificationOf(slices.Clone(all)...)
			req.Open = watchword.OpenNone
			c.change(&req)
			v, err := k.StartVerification(context.Background(), req)
			if err != nil {
				var refused *watchword.Error
				if !errors.As(err, &refused) || refused.Code != c.want {
					t.Fatalf("%v, want %s", err, c.want)
				}
				return
			}
			if got := strings.Join(methodIDs(v.VerificationView), " "); got != c.want {
				t.Fatalf("offers %s, want %s", got, c.want)
			}
			for _, id := range []string{"m1", "m2", "m3", "m4"} { // what is not offered never opens nor answers
				if strings.Contains(c.want, id) {
					continue
				}
				_, err := k.OpenMethod(context.Background(), v.ID, id)
				k.requireCode(err, watchword.ErrUnknownMethod)
				_, err = k.checkMethod(v.ID, id, "123456")
				k.requireCode(err, watchword.ErrUnknownMethod)
			}
		})
	}
}

func TestDisabledFactorIsNotOffered(t *testing.T) {
	k := newVerificationKit(t, withKeys(rejectAll))
	f := watchword.Factor{ID: "fa_key", Subject: subject, Strategy: "scripted", Data: []byte("key"), Disabled: true}
	if err := k.ImportFactor(context.Background(), f, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.requireMethods(k.startVerification(verificationOf(keyMethod, smsMethod)).VerificationView, "m2")
}

func TestStartOfVerificationNamesTheFieldsThatAreInvalid(t *testing.T) {
	k := newVerificationKit(t, withKeys(rejectAll))
	cases := map[string]struct {
		change func(*watchword.VerificationRequest)
		want   []string
	}{
		"no methods":            {func(r *watchword.VerificationRequest) { r.Methods = nil }, []string{"methods"}},
		"eleven methods":        {func(r *watchword.VerificationRequest) { r.Methods = make([]watchword.MethodRequest, 11) }, []string{"methods"}},
		"the same twice":        {func(r *watchword.VerificationRequest) { r.Methods = append(r.Methods, totpMethod) }, []string{"methods.5.strategy"}},
		"unknown strategy":      {func(r *watchword.VerificationRequest) { r.Methods[1].Strategy = "dance" }, []string{"methods.1.strategy"}},
		"no address":            {func(r *watchword.VerificationRequest) { r.Methods[1].To = "" }, []string{"methods.1.to"}},
		"bad address":           {func(r *watchword.VerificationRequest) { r.Methods[1].To = alice }, []string{"methods.1.to"}},
		"bad channel":           {func(r *watchword.VerificationRequest) { r.Methods[1].Channel = "pigeon" }, []string{"methods.1.channel"}},
		"an address of nothing": {func(r *watchword.VerificationRequest) { r.Methods[0].To = alice }, []string{"methods.0.to"}},
		"an enrolment":          {func(r *watchword.VerificationRequest) { r.Purpose = "enrol" }, []string{"purpose"}},
		"no purpose":            {func(r *watchword.VerificationRequest) { r.Purpose = "" }, []string{"purpose"}},
		"open":                  {func(r *watchword.VerificationRequest) { r.Open = "last" }, []string{"open"}},
		"require":               {func(r *watchword.VerificationRequest) { r.Require = "much" }, []string{"require"}},
		"no subject": {func(r *watchword.VerificationRequest) {
			r.Subject = ""
			r.Methods = []watchword.MethodRequest{totpMethod}
		}, []string{"subject"}},
		"metadata":           {func(r *watchword.VerificationRequest) { r.Metadata = map[string]string{"": ""} }, []string{"metadata"}},
		"fallback too soon":  {func(r *watchword.VerificationRequest) { r.Methods[2].Fallback, r.Fallback = true, time.Second }, []string{"fallback.after"}},
		"fallback too late":  {func(r *watchword.VerificationRequest) { r.Methods[2].Fallback, r.Fallback = true, time.Hour }, []string{"fallback.after"}},
		"no fallback marked": {func(r *watchword.VerificationRequest) { r.Fallback = time.Minute }, []string{"methods"}},
		"two fallbacks": {func(r *watchword.VerificationRequest) {
			r.Methods[2].Fallback, r.Methods[3].Fallback, r.Fallback = true, true, time.Minute
		}, []string{"methods"}},
		"a mark without a time": {func(r *watchword.VerificationRequest) { r.Methods[2].Fallback = true }, []string{"fallback"}},
		"another address without subject": {func(r *watchword.VerificationRequest) {
			r.Subject, r.Methods = "", []watchword.MethodRequest{mailMethod, smsMethod}
		}, []string{"methods.1.to"}},
		"a key beside an address without subject": {func(r *watchword.VerificationRequest) {
			r.Subject, r.Methods = "", []watchword.MethodRequest{keyMethod, mailMethod}
		}, []string{"methods.1.to"}},
		"an address beside a key without subject": {func(r *watchword.VerificationRequest) {
			r.Subject, r.Methods = "", []watchword.MethodRequest{mailMethod, keyMethod}
		}, []string{"methods.1.to"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			req := verificationOf()
			req.Methods = slices.Clone(req.Methods)
			c.change(&req)
			_, err := k.StartVerification(context.Background(), req)
			for _, want := range c.want {
				if got := fieldsOf(err); !slices.Contains(got, want) {
					t.Errorf("refuses %v, want %v", got, c.want)
				}
			}
		})
	}
	if len(k.outbox.list()) != 0 {
		t.Error("something was sent")
	}
}

func TestVerificationWithoutSubjectIsOfOneAddressOrOfAKey(t *testing.T) {
	k := newVerificationKit(t, withKeys(acceptAll))
	mail := verificationOf(mailMethod, linkMethod, watchword.MethodRequest{Strategy: "otp", Channel: "email", To: "alice@EXAMPLE.com", Fallback: false, Factor: ""})
	mail.Methods = mail.Methods[:2]
	mail.Subject = ""
	v := k.startVerification(mail)
	challenge := k.open(v.ID, "m1")
	_, err := k.checkMethod(v.ID, "m1", k.code(challenge), func(r *watchword.VerificationCheck) { r.Subject = "" })
	if got := fieldsOf(err); !slices.Equal(got, []string{"subject"}) {
		t.Errorf("without the address: %v", err)
	}
	result, err := k.checkMethod(v.ID, "m1", k.code(challenge), func(r *watchword.VerificationCheck) { r.Subject, r.To = "", alice })
	if err != nil || result.Claims.Subject != "" || result.Claims.AddressHash != k.AddressHash(alice) {
		t.Fatalf("%+v, %v", result, err)
	}
	key := verificationOf(keyMethod)
	key.Subject = ""
	v = k.startVerification(key)
	if v.Method != "m1" {
		t.Fatalf("opened %q", v.Method)
	}
	if _, err := k.checkMethod(v.ID, "", "x", func(r *watchword.VerificationCheck) { r.Subject = "" }); err != nil {
		t.Errorf("the key: %v", err)
	}
}

// A method whose address is refused for good is left out. That does not leave a key alone where there is no subject.
func TestMethodWithARefusedAddressIsNotOffered(t *testing.T) {
	k := newVerificationKit(t, withKeys(acceptAll), func(c *watchword.Config) {
		c.Addresses = func(channel, address string) (watchword.Address, error) {
			a, err := testAddresses(channel, address)
			if err == nil && a.Kind == "phone" {
				err = &watchword.Error{Code: watchword.ErrDestinationRefused.Code, Reason: "country"}
			}
			return a, err
		}
	})
	k.requireMethods(k.startVerification(verificationOf(smsMethod, mailMethod)).VerificationView, "m2")
	k.requireMethods(k.startVerification(verificationOf(smsMethod, totpMethod)).VerificationView, "m2")
	_, err := k.StartVerification(context.Background(), verificationOf(smsMethod))
	k.requireCode(err, watchword.ErrDestinationRefused)
	req := verificationOf(smsMethod, keyMethod)
	req.Subject = ""
	if _, err := k.StartVerification(context.Background(), req); !slices.Equal(fieldsOf(err), []string{"methods.1.to"}) {
		t.Errorf("a key beside a refused address: %v", err)
	}
}

func TestStartOpensAMethodAsRequested(t *testing.T) {
	k := newVerificationKit(t)
	cases := map[string]struct {
		open    watchword.OpenChoice
		methods []watchword.MethodRequest
		want    string
	}{
		"auto, sends nothing":       {"", []watchword.MethodRequest{totpMethod, smsMethod}, "m1"},
		"auto, sends":               {"", []watchword.MethodRequest{smsMethod, totpMethod}, ""},
		"auto, sends, the only one": {"auto", []watchword.MethodRequest{smsMethod}, "m1"},
		"first":                     {"first", []watchword.MethodRequest{smsMethod, totpMethod}, "m1"},
		"none":                      {"none", []watchword.MethodRequest{totpMethod}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			sent := len(k.outbox.list())
			req := verificationOf(c.methods...)
			req.Open = c.open
			v := k.startVerification(req)
			if v.Method != c.want || (v.Challenge != nil) != (c.want != "") {
				t.Errorf("opened %q: %+v", v.Method, v.Challenge)
			}
			opensSMS := c.want != "" && c.methods[0] == smsMethod
			if got := len(k.outbox.list()) - sent; (got == 1) != opensSMS {
				t.Errorf("%d messages", got)
			}
		})
	}
}
