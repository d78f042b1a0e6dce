package webauthn

import (
	"context"
	"slices"
	"testing"

	"github.com/watchword-auth/watchword"
)

// The policies required, preferred and discouraged, with and without user verification in the assertion.
func TestCheckEnforcesUserVerificationPolicy(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) {
		c.Policies = map[string]Policy{"a_required": {UserVerification: Required}, "b_preferred": {UserVerification: Preferred},
			"c_discouraged": {UserVerification: Discouraged}, watchword.PurposeEnrol: {UserVerification: Preferred}}
	})
	d, plain := newDevice(t), newDevice(t)
	k.enrol("user_42", d)
	k.enrol("user_43", plain, clearFlags(flagUV))
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
		// A PIN that was set later proves nothing: a finder of the key may have set it.
		{"a_required", "user_43", plain, true, "required", false, false},
		{"c_discouraged", "user_43", plain, true, "discouraged", true, false},
	} {
		a := k.startChallenge(c.purpose, c.subject)
		if a.options["userVerification"] != c.asks {
			t.Errorf("%s asks for %v", c.purpose, a.options["userVerification"])
		}
		mutate := setFlags(flagUV)
		if !c.verified {
			mutate = clearFlags(flagUV)
		}
		r, err := k.answer(a, c.d.get(a.options, mutate))
		if !c.accepted {
			k.wantRefusal(err, refusedVerification)
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

func TestReceiptAMR(t *testing.T) {
	uvm := func(methods ...uint32) mutation {
		var entries [][3]uint32
		for _, m := range methods {
			entries = append(entries, [3]uint32{m, 2, 2})
		}
		return combine(setFlags(flagED), func(c *ceremony) { c.tail = encodeCBOR(t, map[string]any{"uvm": entries}) })
	}
	for name, c := range map[string]struct {
		enrol, use mutation
		amr        []string
	}{
		"a security key, verified":          {setFlags(0), setFlags(0), []string{"hwk", "user", "mfa"}},
		"a security key, touched":           {setFlags(0), clearFlags(flagUV), []string{"hwk", "user"}},
		"a synced passkey":                  {setFlags(flagBE | flagBS), setFlags(flagBE | flagBS), []string{"swk", "user", "mfa"}},
		"one that could be":                 {setFlags(flagBE), setFlags(flagBE), []string{"swk", "user", "mfa"}},
		"by PIN":                            {setFlags(0), uvm(0x800), []string{"hwk", "user", "pin", "mfa"}},
		"by fingerprint":                    {setFlags(0), uvm(0x2), []string{"hwk", "user", "fpt", "mfa"}},
		"by presence and face":              {setFlags(0), uvm(0x1, 0x10), []string{"hwk", "user", "face", "mfa"}},
		"by two PINs":                       {setFlags(0), uvm(0x4, 0x800), []string{"hwk", "user", "pin", "mfa"}},
		"by none that has a name":           {setFlags(0), uvm(0x40), []string{"hwk", "user", "mfa"}},
		"by PIN, without user verification": {setFlags(0), combine(uvm(0x4), clearFlags(flagUV)), []string{"hwk", "user"}},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t)
			d := newDevice(t)
			k.enrol("user_42", d, c.enrol)
			claims := k.mustSignIn(watchword.PurposeMFA, "user_42", d, c.use)
			if claims.ACR != "phr" {
				t.Errorf("acr %q", claims.ACR)
			}
			if !slices.Equal(claims.AMR, c.amr) {
				t.Errorf("amr %v, want %v", claims.AMR, c.amr)
			}
		})
	}
}

// The receipt and the listing show the state of the last assertion.
func TestCheckUpdatesBackupState(t *testing.T) {
	k := newKit(t)
	d := newDevice(t)
	k.enrol("user_42", d, setFlags(flagBE))
	d.flags |= flagBE
	for _, backedUp := range []bool{false, true, false} {
		mutate := clearFlags(flagBS)
		if backedUp {
			mutate = setFlags(flagBS)
		}
		claims := k.mustSignIn("sign_in", "user_42", d, mutate)
		factors, err := k.ListFactors(context.Background(), "user_42")
		if err != nil {
			t.Fatal(err)
		}
		if claims.Extra["backed_up"] != backedUp || factors[0].Public["backed_up"] != backedUp || claims.Extra["backup_eligible"] != true {
			t.Errorf("backed up %t: receipt %v, listing %v", backedUp, claims.Extra, factors[0].Public)
		}
	}
	_, err := k.signIn("sign_in", "user_42", d, clearFlags(flagBE))
	k.wantRefusal(err, refusedBackupChange)
}

func TestCheckWarnsOfChangedBackupEligibility(t *testing.T) {
	k := newKit(t, func(c *Config, _ *watchword.Config) { c.BackupChange = Warn })
	d := newDevice(t)
	k.enrol("user_42", d)
	claims := k.mustSignIn("sign_in", "user_42", d, setFlags(flagBE|flagBS))
	if claims.Extra["backup_eligibility_changed"] != true || claims.AMR[0] != "swk" || k.refusals.countWarnings() != 1 {
		t.Errorf("amr %v, extra %v, %d warnings", claims.AMR, claims.Extra, k.refusals.countWarnings())
	}
	if claims := k.mustSignIn("sign_in", "user_42", d, setFlags(flagBE|flagBS)); claims.Extra["backup_eligibility_changed"] != nil {
		t.Errorf("the second time: %v", claims.Extra)
	}
}

// A regressed counter causes a warning or a refusal. A counter that is always 0 is accepted.
func TestCheckReactsToRegressedCounter(t *testing.T) {
	count := func(n uint32) mutation { return func(c *ceremony) { c.counter = n } }
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
				k.wantRefusal(err, refusedCounter)
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
