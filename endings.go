package watchword

import (
	"context"
	"fmt"
)

// hasEndings reports whether a strategy is an EndingMatcher.
func hasEndings(s Strategy) bool {
	_, ok := s.(EndingMatcher)
	return ok
}

// checkDevelopmentOnly returns an error for a strategy that is for development only, in another configuration.
func (e *Engine) checkDevelopmentOnly(s Strategy) error {
	if (s.Properties().DevelopmentOnly || hasEndings(s)) && !e.cfg.Development {
		return fmt.Errorf("strategy %q: has test addresses with a public code, which are for development only", s.Name())
	}
	return nil
}

// ending returns how the challenge ends if a match locks it: EndingMatcher.Ending, and nothing for other strategies.
func (r *record) ending() Status {
	if s, ok := r.id.strategy.(EndingMatcher); ok {
		return s.Ending(&r.Challenge)
	}
	return ""
}

// refuseLockingMatch records that an answer has locked the challenge, and returns the error of the answer.
func (e *Engine) refuseLockingMatch(ctx context.Context, rec *record) error {
	ending := rec.ending()
	if ending == Expired {
		e.recordExpired(ctx, rec.id, &rec.Challenge)
		return ErrChallengeExpired
	}
	e.recordLocked(ctx, rec.id, &rec.Challenge)
	if ending == Locked {
		return ErrAttemptsExhausted
	}
	return &Error{Code: ErrIncorrectAnswer.Code}
}
