package webauthn

import (
	"errors"
	"testing"

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
		"challenge a number":           {client("challenge", 1), malformed},
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
		"crossOrigin a string":         {client("crossOrigin", "true"), malformed},
		"client data no JSON":          {func(c *ceremony) { c.raw = []byte("{") }, malformed},
		"client data a list":           {func(c *ceremony) { c.raw = []byte("[]") }, malformed},
		"client data with a tail":      {func(c *ceremony) { c.raw = []byte(`{"type":"webauthn.get"} {}`) }, malformed},
		"client data empty":            {responseWith("clientDataJSON", ""), malformed},
		"client data missing":          {responseWith("clientDataJSON", nil), malformed},

		"another RP id":               {func(c *ceremony) { c.rpID = "example.net" }, refusedRPID},
		"RP id of the origin":         {func(c *ceremony) { c.rpID = "login.example.com" }, refusedRPID},
		"nobody there":                {without(flagUP), refusedPresence},
		"user not verified":           {without(flagUV), refusedVerification},
		"backed up, though it cannot": {with(flagBS), refusedBackupState},
		"bytes after":                 {func(c *ceremony) { c.tail = append(c.tail, 0) }, malformed},
		"extensions announced only":   {with(flagED), malformed},
		"extensions with a tail":      {together(with(flagED), func(c *ceremony) { c.tail = append(c.tail, 0xa0, 0x00) }), malformed},

		"id missing":          {answerWith("id", nil), malformed},
		"rawId missing":       {answerWith("rawId", nil), malformed},
		"id and rawId differ": {answerWith("rawId", "AAAA"), malformed},
		"id no base64url":     {together(answerWith("id", "+/+/"), answerWith("rawId", "+/+/")), malformed},
		"answer's type":       {answerWith("type", "password"), malformed},
		"answer's type gone":  {answerWith("type", nil), malformed},
		"response missing":    {answerWith("response", nil), malformed},
		"response a list":     {answerWith("response", []any{}), malformed},
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
	more("another user's handle", refusedUserHandle, responseWith("userHandle", b64.EncodeToString(other.handle)))
	more("user handle cut short", refusedUserHandle, responseWith("userHandle", b64.EncodeToString(d.handle[:16])))
	more("unknown key", refusedUnknownKey, together(answerWith("id", "AAAA"), answerWith("rawId", "AAAA")))
	more("another subject's key id", refusedOtherSubject, func(c *ceremony) {
		c.answer["id"], c.answer["rawId"] = b64.EncodeToString(other.id), b64.EncodeToString(other.id)
	})
	more("signed by another key", refusedSignature, func(c *ceremony) { c.private = other.private })
	more("signature empty", malformed, responseWith("signature", ""))
	more("signature missing", malformed, responseWith("signature", nil))
	more("signature of zeros", refusedSignature, responseWith("signature", b64.EncodeToString([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})))
	more("signature no DER", refusedSignature, responseWith("signature", b64.EncodeToString(make([]byte, 64))))
	more("authenticator data short", malformed, responseWith("authenticatorData", b64.EncodeToString(make([]byte, 36))))
	more("authenticator data missing", malformed, responseWith("authenticatorData", nil))
	more("counter changed after signing", refusedSignature, func(c *ceremony) {
		c.response["authenticatorData"] = b64.EncodeToString(flip(c.data()))
	})
	more("attested data announced only", malformed, with(flagAT))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k.t = t
			a := k.ask("sign_in", "user_42")
			_, err := k.answer(a, d.get(a.options, c.spoil))
			k.mustRefuse(err, c.reason)
			if _, err := k.answer(a, d.get(a.options)); (err == nil) != (c.reason == malformed) {
				t.Errorf("then the right answer: %v", err)
			}
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
	k.pass(challengeLifetime)
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
	for name, c := range map[string]struct {
		change func(*asked)
		want   error
	}{
		"another purpose": {func(a *asked) { a.purpose = "mfa" }, watchword.ErrIncorrectAnswer},
		"another subject": {func(a *asked) { a.subject = "user_43" }, watchword.ErrIncorrectAnswer},
		"nobody":          {func(a *asked) { a.subject = "" }, watchword.ErrInvalidRequest},
	} {
		a := k.ask("sign_in", "user_42")
		right := d.get(a.options)
		c.change(&a)
		if _, err := k.answer(a, right); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
