package webauthn

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword"
)

// The options differ only in ids. Decoys are always the same, and no answer to them is right.
func TestUnknownSubjectIsAskedLikeKnownOne(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("known", d)
	known, unknown, again := k.startChallenge("sign_in", "known"), k.startChallenge("sign_in", "unknown"), k.startChallenge("sign_in", "unknown")
	if a, b := shape(known.options), shape(unknown.options); !reflect.DeepEqual(a, b) {
		t.Errorf("known: %v\nunknown: %v", a, b)
	}
	k.Engine = k.newNode()
	if other := k.startChallenge("mfa", "unknown"); !reflect.DeepEqual(unknown.options["allowCredentials"], again.options["allowCredentials"]) ||
		!reflect.DeepEqual(unknown.options["allowCredentials"], other.options["allowCredentials"]) {
		t.Error("an unknown subject's keys change")
	}
	if reflect.DeepEqual(unknown.options["allowCredentials"], k.startChallenge("sign_in", "unknown too").options["allowCredentials"]) {
		t.Error("two unknown subjects have the same keys")
	}
	if unknown.options["challenge"] == again.options["challenge"] {
		t.Error("two challenges are the same")
	}
	for _, subject := range []string{"unknown", "known"} {
		_, wrong := k.signIn("sign_in", subject, newDevice(t))
		a, _ := json.Marshal(wrong)
		b, _ := json.Marshal(&watchword.Error{Code: "incorrect_answer"})
		if string(a) != string(b) {
			t.Errorf("%s: %s", subject, a)
		}
	}
	late := newDevice(t)
	k.enrol("unknown", late)
	if _, err := k.answer(again, late.get(again.options)); !errors.Is(err, watchword.ErrIncorrectAnswer) {
		t.Errorf("a decoy is answered by a key that was enrolled later: %v", err)
	}
	k.mustSignIn("sign_in", "unknown", late)
}

// shape returns what must not depend on the subject in the options.
func shape(options map[string]any) any {
	out := map[string]any{}
	for name, value := range options {
		out[name] = value
	}
	out["challenge"] = len(options["challenge"].(string))
	key := options["allowCredentials"].([]any)[0].(map[string]any)
	var members []string
	for name := range key {
		members = append(members, name)
	}
	slices.Sort(members)
	out["allowCredentials"] = members
	return out
}

// Decoys have common lengths and transports, and unrelated ids.
func TestDecoyKeysLookLikeCommonKeys(t *testing.T) {
	s := newKit(t).strategy
	seen := map[string]bool{}
	two := 0
	rapid.Check(t, func(t *rapid.T) {
		subject := rapid.String().Draw(t, "subject")
		keys := s.decoyKeys("shop", subject)
		if !reflect.DeepEqual(keys, s.decoyKeys("shop", subject)) || len(keys) < 1 || len(keys) > 2 {
			t.Fatalf("%d keys, or not always the same", len(keys))
		}
		for _, k := range keys {
			if !slices.Contains([]int{16, 20, 32, 48, 64}, len(k.ID)) || len(k.Transports) == 0 {
				t.Fatalf("a key of %d bytes by %v", len(k.ID), k.Transports)
			}
		}
		if seen[string(keys[0].ID[:8])] = true; len(keys) == 2 {
			two++
			if slices.Equal(keys[0].ID[:16], keys[1].ID[:16]) {
				t.Fatal("a subject's keys are similar")
			}
		}
	})
	if len(seen) < 50 || two == 0 {
		t.Errorf("%d different keys, %d subjects with two", len(seen), two)
	}
}

// firstListedID returns the first id in a subject's options.
func (k *kit) firstListedID(subject string) []byte {
	k.t.Helper()
	text := k.startChallenge("sign_in", subject).options["allowCredentials"].([]any)[0].(map[string]any)["id"].(string)
	id, err := b64.DecodeString(text)
	if err != nil {
		k.t.Fatal(err)
	}
	return id
}

// Trying to enrol a listed id does not reveal whether it is real.
func TestVerifyEnrolRefusesListedIDs(t *testing.T) {
	k := newKit(t)
	k.enrol("has", newDevice(t))
	subjects := []string{"has"}
	for i := range 40 { // decoys of all shapes
		subjects = append(subjects, fmt.Sprintf("has_not_%d", i))
	}
	for _, subject := range subjects {
		mine := newDevice(t)
		mine.id = k.firstListedID(subject)
		a := k.startChallenge(watchword.PurposeEnrol, "attacker")
		if _, err := k.answer(a, mine.create(a.options)); !errors.Is(err, watchword.ErrIncorrectAnswer) {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// failingFactors is a factor store that can fail.
type failingFactors struct {
	watchword.Factors
	down bool
}

func (u *failingFactors) Get(ctx context.Context, app, id string) (watchword.SealedFactor, error) {
	if u.down {
		return watchword.SealedFactor{}, errors.New("no route")
	}
	return u.Factors.Get(ctx, app, id)
}

// Subjects with and without keys get the same error when the store fails.
func TestStoreFailureDoesNotRevealWhoHasKeys(t *testing.T) {
	store := &failingFactors{}
	k := newKit(t, func(_ *Config, c *watchword.Config) { store.Factors, c.Factors = c.Factors, store })
	d := newDevice(t)
	k.enrol("has", d)
	for _, subject := range []string{"has", "has_not"} {
		a := k.startChallenge("sign_in", subject)
		store.down = true
		if _, err := k.answer(a, d.get(a.options)); !errors.Is(err, watchword.ErrUnavailable) {
			t.Errorf("%s: %v", subject, err)
		}
		store.down = false
	}
}

// The placeholder key verifies the signature to the end, and the answer is refused even if it is right.
func TestVerifyTakesEveryStepForUnknownKeys(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 1))
	if err != nil {
		t.Fatal(err)
	}
	d.private = private
	d.id, d.handle = k.firstListedID("has_not"), k.strategy.userHandle("shop", "has_not")
	a := k.startChallenge("sign_in", "has_not")
	answer := d.get(a.options)
	parsed, err := parseAssertion(answer)
	if err != nil {
		t.Fatal(err)
	}
	placeholder := k.strategy.placeholderKey("shop", "has_not", d.id)
	if _, err := k.strategy.verifyAssertion(parsed, expectation{challenge: a.options["challenge"].(string), userVerified: true, subjectNamed: true}, placeholder); err != nil {
		t.Errorf("the steps end early: %v", err)
	}
	_, err = k.answer(a, answer)
	k.wantRefusal(err, refusedUnknownKey)
}
