package webauthn

import (
	"errors"
	"testing"

	"github.com/watchword-auth/watchword"
)

// The functions below return mutations of one value.
func setClientData(name string, value any) mutation {
	return func(c *ceremony) {
		if c.client[name] = value; value == nil {
			delete(c.client, name)
		}
	}
}
func setAnswerMember(name string, value any) mutation {
	return func(c *ceremony) { c.answer[name] = value }
}
func setResponseMember(name string, value any) mutation {
	return func(c *ceremony) { c.response[name] = value }
}
func setFlags(flags byte) mutation   { return func(c *ceremony) { c.flags |= flags } }
func clearFlags(flags byte) mutation { return func(c *ceremony) { c.flags &^= flags } }

// combine returns a mutation that applies several.
func combine(all ...mutation) mutation {
	return func(c *ceremony) {
		for _, s := range all {
			s(c)
		}
	}
}

// clientCases returns mutations of the client data and the common members, for both ceremonies.
func clientCases(otherType string) map[string]struct {
	mutate mutation
	reason refusal
} {
	type cases = map[string]struct {
		mutate mutation
		reason refusal
	}
	out := cases{
		"type of the other ceremony":   {setClientData("type", otherType), refusedType},
		"type missing":                 {setClientData("type", nil), refusedType},
		"type in capitals":             {setClientData("type", "WEBAUTHN.GET"), refusedType},
		"payment type":                 {setClientData("type", "payment.get"), refusedType},
		"another challenge":            {setClientData("challenge", b64.EncodeToString(make([]byte, 32))), refusedChallenge},
		"challenge missing":            {setClientData("challenge", nil), refusedChallenge},
		"challenge empty":              {setClientData("challenge", ""), refusedChallenge},
		"challenge padded":             {func(c *ceremony) { c.client["challenge"] = c.client["challenge"].(string) + "=" }, refusedChallenge},
		"challenge a number":           {setClientData("challenge", 1), malformed},
		"origin missing":               {setClientData("origin", nil), refusedOrigin},
		"origin null":                  {setClientData("origin", "null"), refusedOrigin},
		"origin of another site":       {setClientData("origin", "https://example.net"), refusedOrigin},
		"origin over http":             {setClientData("origin", "http://login.example.com"), refusedOrigin},
		"origin at another port":       {setClientData("origin", "https://login.example.com:8443"), refusedOrigin},
		"origin at the default port":   {setClientData("origin", "https://login.example.com:443"), refusedOrigin},
		"origin with a slash":          {setClientData("origin", "https://login.example.com/"), refusedOrigin},
		"origin with a path":           {setClientData("origin", "https://login.example.com/evil"), refusedOrigin},
		"origin with a user":           {setClientData("origin", "https://evil@login.example.com"), refusedOrigin},
		"origin in capitals":           {setClientData("origin", "https://LOGIN.example.com"), refusedOrigin},
		"origin with a root dot":       {setClientData("origin", "https://login.example.com."), refusedOrigin},
		"origin below":                 {setClientData("origin", "https://a.login.example.com"), refusedOrigin},
		"origin above":                 {setClientData("origin", "https://example.com"), refusedOrigin},
		"origin beside":                {setClientData("origin", "https://notlogin.example.com"), refusedOrigin},
		"origin with a common prefix":  {setClientData("origin", "https://login.example.com.evil.net"), refusedOrigin},
		"origin with a trailing space": {setClientData("origin", "https://login.example.com "), refusedOrigin},
		"origin with a NUL":            {setClientData("origin", "https://login.example.com\x00"), refusedOrigin},
		"origin of another app":        {setClientData("origin", "android:apk-key-hash:abd"), refusedOrigin},
		"origin of an app in capitals": {setClientData("origin", "ANDROID:apk-key-hash:abc"), refusedOrigin},
		"embedded elsewhere":           {setClientData("crossOrigin", true), refusedCrossOrigin},
		"embedded, top origin known":   {combine(setClientData("crossOrigin", true), setClientData("topOrigin", "https://login.example.com")), refusedCrossOrigin},
		"top origin, not embedded":     {setClientData("topOrigin", "https://login.example.com"), refusedTopOrigin},
		"crossOrigin a string":         {setClientData("crossOrigin", "true"), malformed},
		"client data no JSON":          {func(c *ceremony) { c.raw = []byte("{") }, malformed},
		"client data a list":           {func(c *ceremony) { c.raw = []byte("[]") }, malformed},
		"client data with a tail":      {func(c *ceremony) { c.raw = []byte(`{"type":"webauthn.get"} {}`) }, malformed},
		"client data empty":            {setResponseMember("clientDataJSON", ""), malformed},
		"client data missing":          {setResponseMember("clientDataJSON", nil), malformed},

		"another RP id":               {func(c *ceremony) { c.rpID = "example.net" }, refusedRPID},
		"RP id of the origin":         {func(c *ceremony) { c.rpID = "login.example.com" }, refusedRPID},
		"user not present":            {clearFlags(flagUP), refusedPresence},
		"user not verified":           {clearFlags(flagUV), refusedVerification},
		"backed up, though it cannot": {setFlags(flagBS), refusedBackupState},
		"bytes after":                 {func(c *ceremony) { c.tail = append(c.tail, 0) }, malformed},
		"extensions announced only":   {setFlags(flagED), malformed},
		"extensions with a tail":      {combine(setFlags(flagED), func(c *ceremony) { c.tail = append(c.tail, 0xa0, 0x00) }), malformed},

		"id missing":          {setAnswerMember("id", nil), malformed},
		"rawId missing":       {setAnswerMember("rawId", nil), malformed},
		"id and rawId differ": {setAnswerMember("rawId", "AAAA"), malformed},
		"id no base64url":     {combine(setAnswerMember("id", "+/+/"), setAnswerMember("rawId", "+/+/")), malformed},
		"answer's type":       {setAnswerMember("type", "password"), malformed},
		"answer's type gone":  {setAnswerMember("type", nil), malformed},
		"response missing":    {setAnswerMember("response", nil), malformed},
		"response a list":     {setAnswerMember("response", []any{}), malformed},
	}
	return out
}

// Every mutated assertion is refused with the same error and its reason in the log. The subject can still sign in.
func TestVerifyRefusesMutatedAssertions(t *testing.T) {
	k := newKit(t)
	d, other := newDevice(t), newDevice(t)
	k.enrol("user_42", d)
	k.enrol("user_43", other)
	cases := clientCases("webauthn.create")
	more := func(name string, reason refusal, mutate mutation) {
		cases[name] = struct {
			mutate mutation
			reason refusal
		}{mutate, reason}
	}
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	more("backup eligibility gained", refusedBackupChange, setFlags(flagBE))
	more("backup eligibility and state gained", refusedBackupChange, setFlags(flagBE|flagBS))
	more("another user's handle", refusedUserHandle, setResponseMember("userHandle", b64.EncodeToString(other.handle)))
	more("user handle cut short", refusedUserHandle, setResponseMember("userHandle", b64.EncodeToString(d.handle[:16])))
	more("unknown key", refusedUnknownKey, combine(setAnswerMember("id", "AAAA"), setAnswerMember("rawId", "AAAA")))
	more("another subject's key id", refusedOtherSubject, func(c *ceremony) {
		c.answer["id"], c.answer["rawId"] = b64.EncodeToString(other.id), b64.EncodeToString(other.id)
	})
	more("signed by another key", refusedSignature, func(c *ceremony) { c.private = other.private })
	more("signature empty", malformed, setResponseMember("signature", ""))
	more("signature missing", malformed, setResponseMember("signature", nil))
	more("signature of zeros", refusedSignature, setResponseMember("signature", b64.EncodeToString([]byte{0x30, 6, 2, 1, 0, 2, 1, 0})))
	more("signature no DER", refusedSignature, setResponseMember("signature", b64.EncodeToString(make([]byte, 64))))
	more("authenticator data short", malformed, setResponseMember("authenticatorData", b64.EncodeToString(make([]byte, 36))))
	more("authenticator data missing", malformed, setResponseMember("authenticatorData", nil))
	more("counter changed after signing", refusedSignature, func(c *ceremony) {
		c.response["authenticatorData"] = b64.EncodeToString(flip(c.data()))
	})
	more("attested data announced only", malformed, setFlags(flagAT))
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			k.t = t
			a := k.startChallenge("sign_in", "user_42")
			_, err := k.answer(a, d.get(a.options, c.mutate))
			k.wantRefusal(err, c.reason)
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

// Unknown members and values that were not requested do not matter.
func TestVerifyIgnoresUnrequestedMembers(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	for name, mutate := range map[string]mutation{
		"unknown client data":     setClientData("new_keys_may_be_added_here", "do not compare clientDataJSON against a template"),
		"unsolicited extensions":  setAnswerMember("clientExtensionResults", map[string]any{"appid": false, "prf": map[string]any{}, "credProps": map[string]any{"rk": true}}),
		"no extensions at all":    setAnswerMember("clientExtensionResults", nil),
		"appid pretended":         setAnswerMember("clientExtensionResults", map[string]any{"appid": true}),
		"unknown signed outputs":  combine(setFlags(flagED), func(c *ceremony) { c.tail = encodeCBOR(t, map[string]any{"future": true}) }),
		"attachment":              setAnswerMember("authenticatorAttachment", "platform"),
		"no user handle":          setResponseMember("userHandle", nil),
		"user handle of no bytes": setResponseMember("userHandle", ""),
		"a native app":            setClientData("origin", "android:apk-key-hash:abc"),
		"another of the origins":  setClientData("origin", "https://example.com:8443"),
	} {
		t.Run(name, func(t *testing.T) {
			k.t = t
			k.mustSignIn("sign_in", "user_42", d, mutate)
		})
	}
}

// An answer is refused after success, after failure, for another challenge, and after the challenge has expired.
func TestCheckRefusesReplayedAnswers(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	a := k.startChallenge("sign_in", "user_42")
	right := d.get(a.options)
	if _, err := k.answer(a, right); err != nil {
		t.Fatal(err)
	}
	if _, err := k.answer(a, right); !errors.Is(err, watchword.ErrChallengeApproved) {
		t.Errorf("again after success: %v", err)
	}
	_, err := k.answer(k.startChallenge("sign_in", "user_42"), right)
	k.wantRefusal(err, refusedChallenge)

	b := k.startChallenge("sign_in", "user_42")
	right = d.get(b.options)
	_, err = k.answer(b, d.get(b.options, setClientData("origin", "https://evil.example")))
	k.wantRefusal(err, refusedOrigin)
	if _, err := k.answer(b, right); !errors.Is(err, watchword.ErrAttemptsExhausted) {
		t.Errorf("a right answer after a wrong one: %v", err)
	}

	c := k.startChallenge("sign_in", "user_42")
	right = d.get(c.options)
	k.advance(challengeLifetime)
	if _, err := k.answer(c, right); !errors.Is(err, watchword.ErrChallengeExpired) {
		t.Errorf("too late: %v", err)
	}
	k.mustSignIn("sign_in", "user_42", d)
}

// An answer is bound to purpose, subject and transaction.
func TestCheckRefusesAnswerOfAnotherChallenge(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	for name, c := range map[string]struct {
		change func(*startedChallenge)
		want   error
	}{
		"another purpose": {func(a *startedChallenge) { a.purpose = "mfa" }, watchword.ErrIncorrectAnswer},
		"another subject": {func(a *startedChallenge) { a.subject = "user_43" }, watchword.ErrIncorrectAnswer},
		"no subject":      {func(a *startedChallenge) { a.subject = "" }, watchword.ErrInvalidRequest},
	} {
		a := k.startChallenge("sign_in", "user_42")
		right := d.get(a.options)
		c.change(&a)
		if _, err := k.answer(a, right); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
