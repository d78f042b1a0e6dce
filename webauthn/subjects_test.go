package webauthn

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/watchword-auth/watchword"
)

// The receipt's subject is that of the key.
func TestVerifyAcceptsDiscoverableKeyWithoutSubject(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) {
		c.Policies = map[string]Policy{"sign_in": {UserVerification: Discouraged}}
	})
	d, other := newDevice(t), newDevice(t)
	k.enrol("user_42", d)
	k.enrol("user_43", other)
	a := k.startChallenge("sign_in", "")
	if a.options["userVerification"] != "required" || a.options["allowCredentials"] != nil {
		t.Errorf("asks for %v", a.options)
	}
	for subject, d := range map[string]*device{"user_42": d, "user_43": other} {
		if claims := k.mustSignIn("sign_in", "", d); claims.Subject != subject || claims.Factor != k.strategy.factorID("shop", d.id) {
			t.Errorf("the receipt is of %q with %q, want %q", claims.Subject, claims.Factor, subject)
		}
	}
	for name, c := range map[string]struct {
		mutate mutation
		reason refusal
	}{
		"not verified":             {clearFlags(flagUV), refusedVerification},
		"no user handle":           {setResponseMember("userHandle", nil), refusedUserHandle},
		"empty user handle":        {setResponseMember("userHandle", ""), refusedUserHandle},
		"another's user handle":    {setResponseMember("userHandle", b64.EncodeToString(other.handle)), refusedUserHandle},
		"another's id, own handle": {combine(setAnswerMember("id", b64.EncodeToString(other.id)), setAnswerMember("rawId", b64.EncodeToString(other.id))), refusedUserHandle},
		"unknown id":               {combine(setAnswerMember("id", "AAAA"), setAnswerMember("rawId", "AAAA")), refusedUnknownKey},
	} {
		t.Run(name, func(t *testing.T) {
			k.t = t
			_, err := k.signIn("sign_in", "", d, c.mutate)
			k.wantRefusal(err, c.reason)
		})
	}
}

func TestVerifyRefusesOtherKeyThanTheNamedFactor(t *testing.T) {
	k := newKit(t)
	first, second := newDevice(t), newDevice(t)
	f := k.enrol("user_42", first)
	k.enrol("user_42", second)
	foreign := k.enrol("user_43", newDevice(t))
	ask := func(factor string) startedChallenge {
		return k.start(watchword.StartRequest{Purpose: "sign_in", Subject: "user_42", Factor: factor})
	}
	a := ask(f.ID)
	if keys := a.options["allowCredentials"].([]any); len(keys) != 1 || keys[0].(map[string]any)["id"] != b64.EncodeToString(first.id) {
		t.Errorf("asks for %v", keys)
	}
	_, err := k.answer(a, second.get(a.options))
	k.wantRefusal(err, refusedOtherFactor)
	a = ask(f.ID)
	if _, err := k.answer(a, first.get(a.options)); err != nil {
		t.Errorf("the named one: %v", err)
	}
	a = ask(foreign.ID) // the subject gets decoys
	if keys := a.options["allowCredentials"].([]any); keys[0].(map[string]any)["id"] == foreign.Public["credential_id"] {
		t.Error("another subject's key is shown")
	}
	if _, err := k.answer(a, first.get(a.options)); !errors.Is(err, watchword.ErrIncorrectAnswer) {
		t.Errorf("a decoy's answer: %v", err)
	}
}

// After the removal of one key the other still works, and the removed one can be enrolled again.
func TestVerifyRefusesRemovedKeyAndAcceptsOthers(t *testing.T) {
	k := newKit(t)
	first, second := newDevice(t), newDevice(t)
	f := k.enrol("user_42", first)
	k.enrol("user_42", second)
	if !slices.Equal(first.handle, second.handle) || len(first.handle) != 32 {
		t.Error("the keys of a subject have handles of their own")
	}
	k.mustSignIn("sign_in", "user_42", first)
	k.mustSignIn("sign_in", "user_42", second)
	a := k.startChallenge("sign_in", "user_42")
	if err := k.RemoveFactor(context.Background(), f.ID, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	_, err := k.answer(a, first.get(a.options))
	k.wantRefusal(err, refusedUnknownKey)
	_, err = k.signIn("sign_in", "", first)
	k.wantRefusal(err, refusedUnknownKey)
	k.mustSignIn("sign_in", "user_42", second)
	k.enrol("user_42", first)
	k.mustSignIn("sign_in", "user_42", first)
}

// Keys of another RP id are kept, and work again when the RP id is changed back.
func TestVerifyRefusesKeyOfAnotherRPID(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	moved := newKit(t, func(c *Config, w *watchword.Config) {
		c.RPID, c.Origins, c.NativeOrigins = "login.example.com", []string{"https://login.example.com"}, nil
		w.Factors = k.config.Factors
	})
	a := moved.startChallenge("sign_in", "user_42")
	if keys := a.options["allowCredentials"].([]any); keys[0].(map[string]any)["id"] == b64.EncodeToString(d.id) {
		t.Error("a key of the old RP id is asked for")
	}
	_, err := moved.answer(a, d.get(a.options))
	if !errors.Is(err, watchword.ErrIncorrectAnswer) {
		t.Errorf("a key of the old RP id: %v", err)
	}
	_, err = moved.signIn("sign_in", "", d)
	moved.wantRefusal(err, refusedUnknownKey)
	k.mustSignIn("sign_in", "user_42", d)
}

// The factors of both apps are in one store.
func TestVerifyRefusesKeyOfAnotherApp(t *testing.T) {
	k := newKit(t)
	other := newKit(t, func(_ *Config, w *watchword.Config) { w.App, w.Factors = "bank", k.config.Factors })
	d, foreign := newDevice(t), newDevice(t)
	k.enrol("user_42", d)
	other.enrol("user_42", foreign)
	_, err := k.signIn("sign_in", "user_42", foreign)
	k.wantRefusal(err, refusedUnknownKey)
	_, err = other.signIn("sign_in", "", d)
	other.wantRefusal(err, refusedUnknownKey)
	a := k.startChallenge("sign_in", "user_42")
	if _, err := other.answer(a, d.get(a.options)); !errors.Is(err, watchword.ErrUnknownChallenge) {
		t.Errorf("another app's challenge: %v", err)
	}
	if slices.Equal(k.strategy.userHandle("shop", "user_42"), k.strategy.userHandle("bank", "user_42")) {
		t.Error("two apps share a user handle")
	}
}

// A disabled key is not listed in the options either.
func TestVerifyRefusesDisabledKey(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	f := k.enrol("user_42", d)
	k.disable(f.ID)
	_, err := k.signIn("sign_in", "", d)
	k.wantRefusal(err, refusedDisabledKey)
	if keys := k.startChallenge("sign_in", "user_42").options["allowCredentials"].([]any); keys[0].(map[string]any)["id"] == b64.EncodeToString(d.id) {
		t.Error("a disabled key is asked for")
	}
}

// disable disables a factor, by a strategy with the same name that spends it as disabled.
func (k *kit) disable(id string) {
	k.t.Helper()
	cfg := k.config
	cfg.Strategies = []watchword.Strategy{disabler{k.strategy, id}}
	e, err := watchword.New(cfg)
	if err != nil {
		k.t.Fatal(err)
	}
	s, err := e.Start(context.Background(), watchword.StartRequest{Strategy: "webauthn", Purpose: "sign_in"})
	if err == nil {
		_, err = e.Check(context.Background(), s.ID, watchword.CheckRequest{Purpose: "sign_in", Answer: watchword.Answer{Text: "{}", Object: true}})
	}
	if err != nil {
		k.t.Fatal(err)
	}
}

type disabler struct {
	*Strategy
	id string
}

// ReadAnswer accepts any object.
func (disabler) ReadAnswer(answer string) (string, error) { return answer, nil }

func (d disabler) Verify(ctx context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
	f, err := c.FindFactor(ctx, d.id)
	f.Disabled = true
	return watchword.Proof{Spend: &f}, err
}

// A key that cannot be decrypted is not listed, and the subject's other keys work.
func TestDamagedKeyDoesNotBlockOtherKeys(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	err := k.config.Factors.Create(t.Context(), watchword.SealedFactor{ID: "bad", App: "shop", Subject: "user_42", Strategy: "webauthn",
		CreatedAt: k.time(), Data: []byte("damaged")})
	if err != nil {
		t.Fatal(err)
	}
	for _, purpose := range []string{"sign_in", "mfa", "manage_factors"} {
		k.mustSignIn(purpose, "user_42", d)
	}
	k.start(watchword.StartRequest{Purpose: watchword.PurposeEnrol, Subject: "user_42", Authority: watchword.Authority{Admin: true}})
}

// If an encryption key is missing, the subject does not get decoys.
func TestStartIsUnavailableWhenTheKeyOfTheKeyringIsMissing(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d)
	a := k.startChallenge("sign_in", "user_42")
	answer := d.get(a.options)
	cfg := k.config
	cfg.Keys = []watchword.Key{testKey(t, "other")}
	lacking, err := watchword.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ask := watchword.StartRequest{Strategy: "webauthn", Purpose: "sign_in", Subject: "user_42"}
	if _, err := lacking.Start(t.Context(), ask); !errors.Is(err, watchword.ErrUnavailable) {
		t.Errorf("start: %v", err)
	}
	enrol := watchword.StartRequest{Strategy: "webauthn", Purpose: watchword.PurposeEnrol, Subject: "user_42", Authority: watchword.Authority{Admin: true}}
	if _, err := lacking.Start(t.Context(), enrol); err != nil {
		t.Errorf("another one on the app's authority: %v", err)
	}
	if _, err := k.answer(a, answer); err != nil {
		t.Errorf("with the key: %v", err)
	}
}
