package webauthn

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword"
)

// cborBombs returns short CBOR texts that declare large sizes, depths or numbers of entries.
func cborBombs(t testing.TB) map[string][]byte {
	t.Helper()
	length := func(head byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{head}, n) }
	return map[string][]byte{
		"nested lists":         append(bytes.Repeat([]byte{0x81}, 40_000), 0x01),
		"nested maps":          append(bytes.Repeat([]byte{0xa1, 0x01}, 20_000), 0x01),
		"nested tags":          append(bytes.Repeat([]byte{0xc1}, 40_000), 0x01),
		"a list of 2^62":       length(0x9b, 1<<62),
		"a map of 2^62":        length(0xbb, 1<<62),
		"bytes of 2^62":        length(0x5b, 1<<62),
		"a text of 2^31":       length(0x7b, 1<<31),
		"indefinite list":      append([]byte{0x9f}, bytes.Repeat([]byte{0x9f}, 40_000)...),
		"indefinite map":       {0xbf, 0x01},
		"a million entries":    append([]byte{0xba, 0, 0x0f, 0x42, 0x40}, bytes.Repeat([]byte{0x01}, 40_000)...),
		"one key over again":   append([]byte{0xb9, 0x40, 0}, bytes.Repeat([]byte{0x01, 0x01}, 0x4000)...),
		"twenty thousand keys": manyKeys(20_000),
		"nothing":              {},
		"a break":              {0xff},
	}
}

func manyKeys(n int) []byte {
	out := []byte{0xb9, byte(n >> 8), byte(n)}
	for i := range n {
		out = append(out, 0x19, byte(i>>8), byte(i), 0x00)
	}
	return out
}

// Parsing a malicious answer takes bounded memory and does not panic.
func TestCheckBoundsMemoryOfMaliciousCBOR(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	for name, bomb := range cborBombs(t) {
		where := map[string]func(*ceremony){
			"attestation object": setResponseMember("attestationObject", b64.EncodeToString(bomb)),
			"public key":         mutateAttestedData(func(_ *[16]byte, _, key *[]byte) { *key = bomb })(d),
			"extensions":         combine(setFlags(flagED), func(c *ceremony) { c.tail = append(c.tail, bomb...) }),
		}
		for part, mutate := range where {
			a := k.startChallenge(watchword.PurposeEnrol, "user_42")
			text := d.create(a.options, mutate)
			if grown := allocated(func() { _, err := k.answer(a, text); wantRefusedOrInvalid(t, name+" in "+part, err) }); grown > 32<<20 {
				t.Errorf("%s in the %s: %d bytes allocated", name, part, grown)
			}
		}
	}
}

func wantRefusedOrInvalid(t *testing.T, what string, err error) {
	t.Helper()
	if !errors.Is(err, watchword.ErrIncorrectAnswer) && len(invalidFields(err)) == 0 {
		t.Errorf("%s: %v", what, err)
	}
}

func allocated(run func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// The maximum length is 1023 bytes (Level 3 §5.1.3).
func TestCheckAcceptsCredentialIDsUpToTheLimit(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	d.id = bytes.Repeat([]byte{7}, 1023)
	k.enrol("user_42", d)
	k.mustSignIn("sign_in", "user_42", d)
	k.mustSignIn("sign_in", "", d)
	d.id = bytes.Repeat([]byte{7}, 1024)
	a := k.startChallenge(watchword.PurposeEnrol, "user_42")
	_, err := k.answer(a, d.create(a.options))
	k.wantRefusal(err, malformed)
	_, err = k.signIn("sign_in", "user_42", d)
	k.wantRefusal(err, malformed)
}

// The limit is 64 KiB.
func TestCheckAcceptsAnswersUpToTheLimit(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	a := k.startChallenge("sign_in", "user_42")
	text := d.get(a.options)
	fill := func(n int) string {
		return strings.TrimSuffix(text, "}") + `,"x":"` + strings.Repeat("x", n-len(text)-7) + `"}`
	}
	if _, err := k.answer(a, fill(maxAnswer)); err != nil {
		t.Errorf("%d bytes: %v (%s)", maxAnswer, err, k.refusals.lastReason())
	}
	for purpose := range map[string]bool{"sign_in": true, watchword.PurposeEnrol: true} {
		_, err := k.answer(k.startChallenge(purpose, "user_42"), fill(maxAnswer+1))
		k.wantRefusal(err, malformed)
		_, err = k.answer(k.startChallenge(purpose, "user_42"), `{"x":`+strings.Repeat("[", 60_000))
		k.wantRefusal(err, malformed)
	}
}

// No other attribute is logged.
func TestLogsHoldOnlyTheReasonOfARefusal(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	for _, c := range clientCases("webauthn.create") {
		if _, err := k.signIn("sign_in", "user_42", d, c.mutate); err == nil {
			t.Fatal("accepted")
		}
	}
	for _, record := range k.refusals.records {
		for a := range record.Attrs {
			if a.Key != "challenge" && a.Key != "purpose" && a.Key != "reason" {
				t.Errorf("%s is logged", a.Key)
			}
		}
	}
}

func FuzzAssertion(f *testing.F) {
	k := newKit(f)
	d := newDevice(f)
	k.enrol("user_42", d)
	stored := k.storedKey("user_42")
	challenge := b64.EncodeToString(make([]byte, 32))
	f.Add(d.get(map[string]any{"challenge": challenge}))
	f.Add(`{"id":"AA","rawId":"AA","type":"public-key","response":{}}`)
	f.Fuzz(func(t *testing.T, text string) {
		a, err := parseAssertion(text)
		if err != nil {
			return
		}
		used := *stored
		if _, err := k.strategy.verifyAssertion(a, expectation{challenge: challenge, userVerified: true}, &used); err == nil &&
			(a.Response.CollectedClientData.Origin != d.origin || !a.Response.AuthenticatorData.Flags.HasUserVerified()) {
			t.Errorf("accepted %q", text)
		}
	})
}

func FuzzRegistration(f *testing.F) {
	s := newKit(f).strategy
	challenge := b64.EncodeToString(make([]byte, 32))
	d := newDevice(f)
	options := map[string]any{"challenge": challenge, "user": map[string]any{"id": "AAAA"}}
	f.Add(d.create(options))
	f.Add(d.create(options, func(c *ceremony) { c.format, c.statement["alg"] = "packed", -7 }))
	for _, bomb := range cborBombs(f) {
		f.Add(d.create(options, setResponseMember("attestationObject", b64.EncodeToString(bomb))))
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRegistration(text)
		if err != nil {
			return
		}
		if k, err := s.verifyRegistration(context.Background(), r, expectation{challenge: challenge, userVerified: true}, []byte("handle")); err == nil && !bytes.Equal(k.ID, r.RawID) {
			t.Errorf("accepted %q", text)
		}
	})
}

// Long values are found at any depth.
func TestAreStatementsBoundedFindsLongValues(t *testing.T) {
	fits, long := make([]byte, maxStatementValue), make([]byte, maxStatementValue+1)
	object := func(part any) *protocol.AttestationObject {
		return &protocol.AttestationObject{AttStatement: map[string]any{"alg": int64(-7), "x": part}}
	}
	for name, part := range map[string]any{"bytes": long, "a text": string(long), "in a list": []any{fits, long},
		"in a map": map[any]any{int64(1): []any{long}}, "in named parts": map[string]any{"y": long}} {
		if areStatementsBounded(object(part)) {
			t.Errorf("%s: accepted", name)
		}
	}
	if !areStatementsBounded(object([]any{fits, string(fits)})) {
		t.Error("what fits is refused")
	}
	compound := &protocol.AttestationObject{SubStatements: []protocol.NonCompoundAttestationObject{{}, {AttStatement: map[string]any{"x5c": []any{long}}}}}
	if areStatementsBounded(compound) {
		t.Error("in a part of a compound statement: accepted")
	}
}
