package server_test

import (
	"context"

	"github.com/watchword-auth/watchword"
)

// A factorStrategy is a strategy with factors. Its right answer is "right" or, with object set, rightCredential.
type factorStrategy struct{ object bool }

const rightCredential = `{"id":"right","userHandle":null}`

func (factorStrategy) Name() string { return "hardware" }

func (s factorStrategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Subject: true, Object: s.object, Strength: watchword.StrengthKey}
}

func (s factorStrategy) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return watchword.Prompt{Ask: watchword.AskKey, Public: map[string]any{"challenge": "<AAA>", "timeout": 300000}}, nil
}

func (s factorStrategy) isRight(answer string) bool {
	return !s.object && answer == "right" || answer == rightCredential
}

func (s factorStrategy) Verify(_ context.Context, _ *watchword.Challenge, answer string) (watchword.Proof, error) {
	if !s.isRight(answer) {
		return watchword.Proof{}, watchword.ErrMismatch
	}
	return watchword.Proof{AMR: []string{"hwk"}}, nil
}

func (s factorStrategy) BeginEnrol(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	p, err := s.Begin(ctx, c)
	p.Ask = watchword.AskNewKey
	p.Public["rp"], p.Public["user"] = map[string]any{"name": "Shop"}, map[string]any{"id": "AAA", "name": "ann", "displayName": "Ann"}
	p.Public["pubKeyCredParams"] = []any{map[string]any{"type": "public-key", "alg": -7}}
	return p, err
}

func (s factorStrategy) VerifyEnrol(_ context.Context, _ *watchword.Challenge, answer string) (watchword.Factor, error) {
	if !s.isRight(answer) {
		return watchword.Factor{}, watchword.ErrMismatch
	}
	return watchword.Factor{ID: "fa_1", Data: []byte("a secret of the factor")}, nil
}

func (s factorStrategy) Describe(watchword.Factor) map[string]any {
	return map[string]any{"backed_up": true}
}

// A failingStrategy returns the errors of begin.
type failingStrategy struct{ begin func() error }

func (failingStrategy) Name() string { return "failing" }

func (failingStrategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{}
}

func (s failingStrategy) Begin(context.Context, *watchword.Challenge) (watchword.Prompt, error) {
	return watchword.Prompt{Ask: watchword.AskCode}, s.begin()
}

func (s failingStrategy) Verify(context.Context, *watchword.Challenge, string) (watchword.Proof, error) {
	return watchword.Proof{}, s.begin()
}
