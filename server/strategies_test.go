package server_test

import (
	"context"

	"github.com/watchword-auth/watchword"
)

// A keeper is a strategy whose subjects keep something: any answer that holds "right" is right.
type keeper struct{ object bool }

const rightObject = `{"id":"right","userHandle":null}`

func (keeper) Name() string { return "keeper" }

func (k keeper) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Subject: true, Object: k.object, Strength: watchword.StrengthKey}
}

func (k keeper) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return watchword.Prompt{Ask: watchword.AskKey, Public: map[string]any{"challenge": "<AAA>", "timeout": 300000}}, nil
}

func (k keeper) right(answer string) bool {
	return !k.object && answer == "right" || answer == rightObject
}

func (k keeper) Verify(_ context.Context, _ *watchword.Challenge, answer string) (watchword.Proof, error) {
	if !k.right(answer) {
		return watchword.Proof{}, watchword.ErrMismatch
	}
	return watchword.Proof{AMR: []string{"hwk"}}, nil
}

func (k keeper) BeginEnrol(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	p, err := k.Begin(ctx, c)
	p.Ask = watchword.AskNewKey
	return p, err
}

func (k keeper) VerifyEnrol(_ context.Context, _ *watchword.Challenge, answer string) (watchword.Factor, error) {
	if !k.right(answer) {
		return watchword.Factor{}, watchword.ErrMismatch
	}
	return watchword.Factor{ID: "fa_1", Data: []byte("a secret of the factor")}, nil
}

func (k keeper) Describe(watchword.Factor) map[string]any { return map[string]any{"backed_up": true} }

// A faulty strategy fails in its own ways.
type faulty struct{ begin func() error }

func (faulty) Name() string { return "faulty" }

func (faulty) Properties() watchword.StrategyProperties { return watchword.StrategyProperties{} }

func (f faulty) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return watchword.Prompt{Ask: watchword.AskKey}, f.begin()
}

func (f faulty) Verify(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{}, f.begin()
}
