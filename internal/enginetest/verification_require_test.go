package enginetest_test

import (
	"context"
	"slices"
	"testing"

	"github.com/watchword-auth/watchword"
)

func TestRequirementIsCheckedOnTheAnswerBeforeItIsSpent(t *testing.T) {
	proof := watchword.Proof{AMR: []string{"hwk"}}
	verify := func(_ context.Context, c *watchword.Challenge, _ string) (watchword.Proof, error) {
		if c.Require != watchword.RequireMFA {
			t.Errorf("the strategy is asked for %q", c.Require)
		}
		f, err := c.FindFactor(context.Background(), "fa_key")
		out := proof
		out.Spend = &f
		return out, err
	}
	k := newVerificationKit(t, withKeys(verify))
	k.enrolKey()
	req := verificationOf(keyMethod, smsMethod)
	req.Require = watchword.RequireMFA
	v := k.startVerification(req)
	_, err := k.checkMethod(v.ID, "m1", "x")
	k.requireCode(err, watchword.ErrIncorrectAnswer)
	f, err := k.GetFactor(context.Background(), "fa_key")
	if err != nil || f.Version != 1 || !f.LastUsedAt.IsZero() {
		t.Errorf("the factor was spent: %+v, %v", f, err)
	}
	proof.AMR = []string{"hwk", "mfa"}
	v = k.startVerification(req)
	if _, err := k.checkMethod(v.ID, "m1", "x"); err != nil {
		t.Fatal(err)
	}
}

// A node whose strategy cannot prove what is required does not take an answer, whoever has listed the method.
func TestNodeThatCannotMeetTheRequirementRefusesTheMethod(t *testing.T) {
	k := newVerificationKit(t, withKeys(acceptAll))
	k.enrolKey()
	req := verificationOf(keyMethod)
	req.Require = watchword.RequirePhishingResistant
	v := k.startVerification(req)
	weak := k.newNode(func(c *watchword.Config) {
		c.Strategies = slices.Clone(c.Strategies)
		for i, s := range c.Strategies {
			if s.Name() == "scripted" {
				c.Strategies[i] = &scriptedVerifier{verify: acceptAll, properties: watchword.StrategyProperties{Tries: 1}}
			}
		}
	})
	_, err := checkMethod(weak, v.ID, "m1", "x")
	k.requireCode(err, watchword.ErrUnknownMethod)
	if _, err := k.checkMethod(v.ID, "m1", "x"); err != nil {
		t.Fatal(err)
	}
}
