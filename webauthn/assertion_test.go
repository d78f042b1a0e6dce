package webauthn

import (
	"context"
	"crypto/sha256"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// spoil makes spoilers of one line.
func client(name string, value any) spoiler {
	return func(c *ceremony) {
		if c.client[name] = value; value == nil {
			delete(c.client, name)
		}
	}
}
func answerWith(name string, value any) spoiler { return func(c *ceremony) { c.answer[name] = value } }
func responseWith(name string, value any) spoiler {
	return func(c *ceremony) { c.response[name] = value }
}
func with(flags byte) spoiler    { return func(c *ceremony) { c.flags |= flags } }
func without(flags byte) spoiler { return func(c *ceremony) { c.flags &^= flags } }

// together changes several things at once.
func together(all ...spoiler) spoiler {
	return func(c *ceremony) {
		for _, s := range all {
			s(c)
		}
	}
}

// clientCases spoil what the browser signs; they hold for both ceremonies.
func clientCases(otherType string) map[string]struct {
	spoil  spoiler
	reason refusal
} {
	type cases = map[string]struct {
		spoil  spoiler
		reason refusal
	}
	out := cases{
		"type of the other ceremony":   {client("type", otherType), refusedType},
		"type missing":                 {client("type", nil), refusedType},
		"type in capitals":             {client("type", "WEBAUTHN.GET"), refusedType},
		"payment type":                 {client("type", "payment.get"), refusedType},
		"another challenge":            {client("challenge", b64.EncodeToString(make([]byte, 32))), refusedChallenge},
		"challenge missing":            {client("challenge", nil), refusedChallenge},
		"challenge empty":              {client("challenge", ""), refusedChallenge},
		"challenge padded":             {func(c *ceremony) { c.client["challenge"] = c.client["challenge"].(string) + "=" }, refusedChallenge},
		"challenge a number":           {client("challenge", 1), refusedForm},
		"origin missing":               {client("origin", nil), refusedOrigin},
		"origin null":                  {client("origin", "null"), refusedOrigin},
		"origin of another site":       {client("origin", "https://example.net"), refusedOrigin},
		"origin over http":             {client("origin", "http://login.example.com"), refusedOrigin},
		"origin at another port":       {client("origin", "https://login.example.com:8443"), refusedOrigin},
		"origin at the default port":   {client("origin", "https://login.example.com:443"), refusedOrigin},
		"origin with a slash":          {client("origin", "https://login.example.com/"), refusedOrigin},
		"origin with a path":           {client("origin", "https://login.example.com/evil"), refusedOrigin},
		"origin with a user":           {client("origin", "https://evil@login.example.com"), refusedOrigin},
		"origin in capitals":           {client("origin", "https://LOGIN.example.com"), refusedOrigin},
		"origin with a root dot":       {client("origin", "https://login.example.com."), refusedOrigin},
		"origin below":                 {client("origin", "https://a.login.example.com"), refusedOrigin},
		"origin above":                 {client("origin", "https://example.com"), refusedOrigin},
		"origin beside":                {client("origin", "https://notlogin.example.com"), refusedOrigin},
		"origin that begins alike":     {client("origin", "https://login.example.com.evil.net"), refusedOrigin},
		"origin with a trailing space": {client("origin", "https://login.example.com "), refusedOrigin},
		"origin with a NUL":            {client("origin", "https://login.example.com\x00"), refusedOrigin},
		"origin of another app":        {client("origin", "android:apk-key-hash:abd"), refusedOrigin},
		"origin of an app in capitals": {client("origin", "ANDROID:apk-key-hash:abc"), refusedOrigin},
		"embedded elsewhere":           {client("crossOrigin", true), refusedCrossOrigin},
		"embedded, top origin known":   {together(client("crossOrigin", true), client("topOrigin", "https://login.example.com")), refusedCrossOrigin},
		"top origin, not embedded":     {client("topOrigin", "https://login.example.com"), refusedTopOrigin},
		"crossOrigin a string":         {client("crossOrigin", "true"), refusedForm},
		"client data no JSON":          {func(c *ceremony) { c.raw = []byte("{") }, refusedForm},
		"client data a list":           {func(c *ceremony) { c.raw = []byte("[]") }, refusedForm},
		"client data with a tail":      {func(c *ceremony) { c.raw = []byte(`{"type":"webauthn.get"} {}`) }, refusedForm},
		"client data empty":            {responseWith("clientDataJSON", ""), refusedForm},
		"client data missing":          {responseWith("clientDataJSON", nil), refusedForm},

		"another RP id":               {func(c *ceremony) { c.rpID = "example.net" }, refusedRPID},
		"RP id of the origin":         {func(c *ceremony) { c.rpID = "login.example.com" }, refusedRPID},
		"nobody there":                {without(flagUP), refusedPresence},
		"user not verified":           {without(flagUV), refusedVerification},
		"backed up, though it cannot": {with(flagBS), refusedBackupState},
		"bytes after":                 {func(c *ceremony) { c.tail = append(c.tail, 0) }, refusedForm},
		"extensions announced only":   {with(flagED), refusedForm},
		"extensions with a tail":      {together(with(flagED), func(c *ceremony) { c.tail = append(c.tail, 0xa0, 0x00) }), refusedForm},

		"id missing":           {answerWith("id", nil), refusedForm},
		"rawId missing":        {answerWith("rawId", nil), refusedForm},
		"id and rawId differ":  {answerWith("rawId", "AAAA"), refusedForm},
		"id no base64url":      {together(answerWith("id", "+/+/"), answerWith("rawId", "+/+/")), refusedForm},
		"answer's type":        {answerWith("type", "password"), refusedForm},
		"answer's type gone":   {answerWith("type", nil), refusedForm},
		"response missing":     {answerWith("response", nil), refusedForm},
		"response a list":      {answerWith("response", []any{}), refusedForm},
		"extensions no object": {answerWith("clientExtensionResults", "x"), refusedForm},
	}
	return out
}

// Whatever is wrong with an assertion, the answer is the same, the reason is in the log, and the owner goes on.
func TestAssertionRefused(t *testing.T) {
	k := newKit(t)
	d, other := newDevice(t), newDevice(t)
	k.enrol("user_42", d)
	k.enrol("user_43", other)
	cases := clientCases("webauthn.create")
	more := func(name string, reason refusal, spoil spoiler) {
		cases[name] = struct {
			spoil  spoiler
			reason refusal
		}{spoil, reason}
	}
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	more("backup eligibility gained", refusedBackupChange, with(flagBE))
	more("backup eligibility and state gained", refusedBackupChange, with(flagBE|flagBS))
	more("another user's handle", refusedHandle, responseWith("userHandle", b64.EncodeToString(other.handle)))
	more("user handle cut short", refusedHandle, responseWith("userHandle", b64.EncodeToString(d.handle[:16])))
	more("unknown key", refusedUnknown, together(answerWith("id", "AAAA"), answerWith("rawId", "AAAA")))
	more("another subject's key id", refusedForeign, func(c *ceremony) {
		c.answer["id"], c.answer["rawId"] = b64.EncodeToString(other.id), b64.EncodeToString(other.id)
	})
	more("signed by another key", refusedSignature, func(c *ceremony) { c.private = other.private })
	more("signature empty", refusedSignature, responseWith("signature", ""))
	more("signature missing", refusedSignature, responseWith("signature", nil))
	more("signature of zeros", refusedSignature, responseWith("signature", b64.EncodeToString([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})))
	more("signature no DER", refusedSignature, responseWith("signature", b64.EncodeToString(make([]byte, 64))))
	more("authenticator data short", refusedForm, responseWith("authenticatorData", b64.EncodeToString(make([]byte, 36))))
	more("authenticator data missing", refusedForm, responseWith("authenticatorData", nil))
	more("counter changed after signing", refusedSignature, func(c *ceremony) {
		c.response["authenticatorData"] = b64.EncodeToString(flip(c.data()))
	})
	more("attested data announced only", refusedForm, with(flagAT))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k.t = t
			_, err := k.signIn("sign_in", "user_42", d, c.spoil)
			k.mustRefuse(err, c.reason)
		})
	}
	if len(cases) < 60 {
		t.Errorf("only %d cases", len(cases))
	}
	k.t = t
	k.mustSignIn("sign_in", "user_42", d)
}

// What is well formed but unasked is ignored.
func TestAssertionUnasked(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	for name, spoil := range map[string]spoiler{
		"unknown client data":     client("new_keys_may_be_added_here", "do not compare clientDataJSON against a template"),
		"unsolicited extensions":  answerWith("clientExtensionResults", map[string]any{"appid": false, "prf": map[string]any{}, "credProps": map[string]any{"rk": true}}),
		"no extensions at all":    answerWith("clientExtensionResults", nil),
		"appid pretended":         answerWith("clientExtensionResults", map[string]any{"appid": true}),
		"unknown signed outputs":  together(with(flagED), func(c *ceremony) { c.tail = encode(t, map[string]any{"future": true}) }),
		"attachment":              answerWith("authenticatorAttachment", "platform"),
		"no user handle":          responseWith("userHandle", nil),
		"user handle of no bytes": responseWith("userHandle", ""),
		"a native app":            client("origin", "android:apk-key-hash:abc"),
		"another of the origins":  client("origin", "https://example.com:8443"),
	} {
		t.Run(name, func(t *testing.T) {
			k.t = t
			k.mustSignIn("sign_in", "user_42", d, spoil)
		})
	}
}

// User verification, under its three policies: what this assertion says counts, and is told.
func TestUserVerification(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) {
		c.Policies = map[string]Policy{"a_required": {UserVerification: Required}, "b_preferred": {UserVerification: Preferred},
			"c_discouraged": {UserVerification: Discouraged}, watchword.PurposeEnrol: {UserVerification: Preferred}}
	})
	d, plain := newDevice(t), newDevice(t)
	k.enrol("user_42", d)
	k.enrol("user_43", plain, without(flagUV))
	for _, c := range []struct {
		purpose, subject string
		d                *device
		verified         bool
		asks             string
		accepted, mfa    bool
	}{
		{"a_required", "user_42", d, true, "required", true, true},
		{"a_required", "user_42", d, false, "required", false, false},
		{"b_preferred", "user_42", d, true, "preferred", true, true},
		{"b_preferred", "user_42", d, false, "preferred", true, false},
		{"c_discouraged", "user_42", d, true, "discouraged", true, true},
		{"c_discouraged", "user_42", d, false, "discouraged", true, false},
		// A PIN that was set later proves nothing: whoever found the key may have set it.
		{"a_required", "user_43", plain, true, "required", false, false},
		{"c_discouraged", "user_43", plain, true, "discouraged", true, false},
	} {
		a := k.ask(c.purpose, c.subject)
		if a.options["userVerification"] != c.asks {
			t.Errorf("%s asks for %v", c.purpose, a.options["userVerification"])
		}
		spoil := with(flagUV)
		if !c.verified {
			spoil = without(flagUV)
		}
		r, err := k.answer(a, c.d.get(a.options, spoil))
		if !c.accepted {
			k.mustRefuse(err, refusedVerification)
			continue
		}
		if err != nil {
			t.Errorf("%s, verified %t: %v", c.purpose, c.verified, err)
			continue
		}
		if got := slices.Contains(r.Claims.AMR, "mfa"); got != c.mfa || r.Claims.Extra["user_verified"] != c.mfa {
			t.Errorf("%s, verified %t: amr %v, extra %v", c.purpose, c.verified, r.Claims.AMR, r.Claims.Extra)
		}
	}
}

// The receipt says what happened and no more.
func TestAMR(t *testing.T) {
	uvm := func(methods ...uint32) spoiler {
		var entries [][3]uint32
		for _, m := range methods {
			entries = append(entries, [3]uint32{m, 2, 2})
		}
		return together(with(flagED), func(c *ceremony) { c.tail = encode(t, map[string]any{"uvm": entries}) })
	}
	for name, c := range map[string]struct {
		enrol, use spoiler
		amr        []string
	}{
		"a security key, verified":         {with(0), with(0), []string{"hwk", "user", "mfa"}},
		"a security key, touched":          {with(0), without(flagUV), []string{"hwk", "user"}},
		"a synced passkey":                 {with(flagBE | flagBS), with(flagBE | flagBS), []string{"swk", "user", "mfa"}},
		"one that could be":                {with(flagBE), with(flagBE), []string{"swk", "user", "mfa"}},
		"by PIN":                           {with(0), uvm(0x800), []string{"hwk", "user", "pin", "mfa"}},
		"by fingerprint":                   {with(0), uvm(0x2), []string{"hwk", "user", "fpt", "mfa"}},
		"by presence and face":             {with(0), uvm(0x1, 0x10), []string{"hwk", "user", "face", "mfa"}},
		"by two PINs":                      {with(0), uvm(0x4, 0x800), []string{"hwk", "user", "pin", "mfa"}},
		"by none that has a name":          {with(0), uvm(0x40), []string{"hwk", "user", "mfa"}},
		"by PIN, which it says and denies": {with(0), together(uvm(0x4), without(flagUV)), []string{"hwk", "user"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			d := newDevice(t)
			k.enrol("user_42", d, c.enrol)
			claims := k.mustSignIn(watchword.PurposeMFA, "user_42", d, c.use)
			if !slices.Equal(claims.AMR, c.amr) {
				t.Errorf("amr %v, want %v", claims.AMR, c.amr)
			}
		})
	}
}

// Backup flags are kept up to date, in the receipt and in the listing.
func TestBackupState(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d, with(flagBE))
	d.flags |= flagBE
	for _, backedUp := range []bool{false, true, false} {
		spoil := without(flagBS)
		if backedUp {
			spoil = with(flagBS)
		}
		claims := k.mustSignIn("sign_in", "user_42", d, spoil)
		factors, err := k.ListFactors(context.Background(), "user_42")
		if err != nil {
			t.Fatal(err)
		}
		if claims.Extra["backed_up"] != backedUp || factors[0].Public["backed_up"] != backedUp || claims.Extra["backup_eligible"] != true {
			t.Errorf("backed up %t: receipt %v, listing %v", backedUp, claims.Extra, factors[0].Public)
		}
	}
	_, err := k.signIn("sign_in", "user_42", d, without(flagBE))
	k.mustRefuse(err, refusedBackupChange)
}

func TestBackupChangeWarned(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) { c.BackupChange = Warn })
	d := newDevice(t)
	k.enrol("user_42", d)
	claims := k.mustSignIn("sign_in", "user_42", d, with(flagBE|flagBS))
	if claims.Extra["backup_eligibility_changed"] != true || claims.AMR[0] != "swk" || k.reasons.warned() != 1 {
		t.Errorf("amr %v, extra %v, %d warnings", claims.AMR, claims.Extra, k.reasons.warned())
	}
	if claims := k.mustSignIn("sign_in", "user_42", d, with(flagBE|flagBS)); claims.Extra["backup_eligibility_changed"] != nil {
		t.Errorf("the second time: %v", claims.Extra)
	}
}

// A counter that does not grow is let pass with a warning, or refused; none at all (0) is fine.
func TestCounter(t *testing.T) {
	count := func(n uint32) spoiler { return func(c *ceremony) { c.counter = n } }
	steps := []struct {
		count     uint32
		regressed bool
	}{{0, false}, {0, false}, {1, false}, {1, true}, {7, false}, {6, true}, {0, true}, {7, true}, {8, false}, {1<<32 - 1, false}, {0, true}}
	for _, reaction := range []Reaction{Warn, Reject} {
		k := newKit(t, func(c *Config, _ *watchword.Config) { c.Counter = reaction })
		d := newDevice(t)
		k.enrol("user_42", d, count(0))
		for i, s := range steps {
			r, err := k.signIn("sign_in", "user_42", d, count(s.count))
			if s.regressed && reaction == Reject {
				k.mustRefuse(err, refusedCounter)
				continue
			}
			if err != nil {
				t.Fatalf("%s, step %d: %v", reaction, i, err)
			}
			if got := r.Claims.Extra["counter_regressed"] == true; got != s.regressed {
				t.Errorf("%s, step %d: regressed %t, want %t", reaction, i, got, s.regressed)
			}
		}
	}
}

// One answer is judged once: not again after success, nor after failure, nor for another challenge, nor too late.
func TestReplay(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	a := k.ask("sign_in", "user_42")
	right := d.get(a.options)
	if _, err := k.answer(a, right); err != nil {
		t.Fatal(err)
	}
	if _, err := k.answer(a, right); !errors.Is(err, watchword.ErrChallengeApproved) {
		t.Errorf("again after success: %v", err)
	}
	_, err := k.answer(k.ask("sign_in", "user_42"), right)
	k.mustRefuse(err, refusedChallenge)

	b := k.ask("sign_in", "user_42")
	right = d.get(b.options)
	_, err = k.answer(b, d.get(b.options, client("origin", "https://evil.example")))
	k.mustRefuse(err, refusedOrigin)
	if _, err := k.answer(b, right); !errors.Is(err, watchword.ErrAttemptsExhausted) {
		t.Errorf("a right answer after a wrong one: %v", err)
	}

	c := k.ask("sign_in", "user_42")
	right = d.get(c.options)
	k.pass(lifetime)
	if _, err := k.answer(c, right); !errors.Is(err, watchword.ErrChallengeExpired) {
		t.Errorf("too late: %v", err)
	}
	k.mustSignIn("sign_in", "user_42", d)
}

// An answer serves its own purpose, subject and transaction only.
func TestDiagonal(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	for name, change := range map[string]func(*asked){
		"purpose": func(a *asked) { a.purpose = "mfa" },
		"subject": func(a *asked) { a.subject = "user_43" },
		"nobody":  func(a *asked) { a.subject = "" },
	} {
		a := k.ask("sign_in", "user_42")
		right := d.get(a.options)
		change(&a)
		if _, err := k.answer(a, right); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// What is approved is part of what the key signs.
func TestTransaction(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	pay := map[string]string{"amount": "40.00", "currency": "EUR", "payee": "ACME GmbH"}
	start := func(tx map[string]string) asked {
		return k.start(watchword.StartRequest{Purpose: "payment", Subject: "user_42", Transaction: tx, Seed: []byte("the same challenge, were it not for its transaction")})
	}
	a := start(pay)
	r, err := k.answer(a, d.get(a.options))
	if err != nil {
		t.Fatal(err)
	}
	if r.Claims.Extra["transaction_signed"] != true || !maps.Equal(r.Claims.Transaction, pay) {
		t.Errorf("the receipt says %v of %v", r.Claims.Extra, r.Claims.Transaction)
	}
	if claims := k.mustSignIn("payment", "user_42", d); claims.Extra["transaction_signed"] != nil {
		t.Errorf("without a transaction: %v", claims.Extra)
	}
}

// The hash of a transaction is of all its entries, and of nothing else.
func TestTransactionHash(t *testing.T) {
	spied := &spy{}
	k := newKit(t, func(_ *Config, w *watchword.Config) { w.App = "shop" })
	spied.Strategy = k.strategy
	k.config.Strategies = []watchword.Strategy{spied}
	k.Engine = k.node()
	k.start(watchword.StartRequest{Purpose: "payment", Subject: "user_42", Transaction: map[string]string{"amount": "40.00", "payee": "ACME"}})
	seen := map[string]string{}
	for name, tx := range map[string]map[string]string{
		"none":               nil,
		"as it was":          {"amount": "40.00", "payee": "ACME"},
		"another amount":     {"amount": "40.01", "payee": "ACME"},
		"another payee":      {"amount": "40.00", "payee": "ACMF"},
		"another name":       {"amounT": "40.00", "payee": "ACME"},
		"one more":           {"amount": "40.00", "payee": "ACME", "x": ""},
		"moved":              {"amount": "40.00payee", "": "ACME"},
		"one less":           {"amount": "40.00"},
		"split otherwise":    {"amount": "40.00", "paye": "eACME"},
		"values interchange": {"amount": "ACME", "payee": "40.00"},
	} {
		c := spied.challenge
		c.Transaction = tx
		derived := k.strategy.challenge(&c)
		if other, twice := seen[derived]; twice {
			t.Errorf("%s and %s sign the same", name, other)
		}
		seen[derived] = name
	}
	if seen[k.strategy.challenge(&spied.challenge)] != "as it was" {
		t.Error("the challenge is not always the same")
	}
	entries := sha256.New()
	frame(entries, "amount", "40.00", "payee", "ACME")
	sum := sha256.Sum256(entries.Sum(spied.challenge.DeriveBytes("webauthn", 32)))
	if seen[b64.EncodeToString(sum[:])] != "as it was" {
		t.Error("the hash of the transaction is not in the challenge")
	}
}

// A spy keeps the challenge that a strategy was given.
type spy struct {
	*Strategy
	challenge watchword.Challenge
}

func (s *spy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	s.challenge = *c
	return s.Strategy.Begin(ctx, c)
}

// Time does not matter to a key, but that it was used is remembered.
func TestLastUsed(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	f := k.enrol("user_42", d)
	k.pass(90 * 24 * time.Hour)
	k.mustSignIn("sign_in", "user_42", d)
	got, err := k.GetFactor(context.Background(), f.ID)
	if err != nil || !got.LastUsedAt.Equal(k.time()) {
		t.Errorf("last used %s, %v", got.LastUsedAt, err)
	}
}
