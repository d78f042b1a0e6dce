package webauthn

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	lib "github.com/go-webauthn/webauthn/webauthn"

	"github.com/watchword-auth/watchword"
)

// lifetime of a challenge, and how long a browser waits for its user.
const lifetime = 5 * time.Minute

// A Strategy is watchword's "webauthn" for one app: a [watchword.Enroller], safe for concurrent use.
type Strategy struct {
	cfg     Config
	origins []string          // that may be in an answer, of every kind
	names   map[string]string // of authenticators, by AAGUID
	allowed map[string]bool   // AAGUIDs; none: all
	denied  map[string]bool
	related http.Handler
	library lib.Config
	asserts *lib.WebAuthn // go-webauthn, without metadata
}

// New makes the strategy, or reports everything that is wrong with the configuration. It connects to nothing.
func New(cfg Config) (*Strategy, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Strategy{cfg: cfg, names: modelNames(), origins: slices.Concat(cfg.Origins, cfg.RelatedOrigins, cfg.NativeOrigins)}
	var err error
	if rules := cfg.Attestation; rules != nil {
		if s.allowed, err = aaguids(rules.Allow); err != nil {
			return nil, err
		}
		if s.denied, err = aaguids(rules.Deny); err != nil {
			return nil, err
		}
	}
	if s.related, err = cfg.relatedOrigins(); err != nil {
		return nil, err
	}
	s.library = cfg.library()
	asserts := s.library
	if s.asserts, err = lib.New(&asserts); err != nil {
		return nil, err
	}
	return s, nil
}

// Name is "webauthn".
func (s *Strategy) Name() string { return "webauthn" }

// StrategyProperties says that the answer is an object, that it cannot be guessed, and that a discoverable passkey names its own
// subject.
func (s *Strategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Group: watchword.GroupNone, Object: true, Tries: 1, Lifetime: lifetime, Strength: watchword.StrengthKey}
}

// Begin asks for one of the subject's keys, or for any discoverable one where the challenge names nobody. A subject
// without keys that can be used gets a decoy.
func (s *Strategy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	prompt := watchword.Prompt{Ask: watchword.AskKey, Public: s.requestOptions(c)}
	if c.Subject == "" {
		return prompt, nil
	}
	keys, err := s.keys(ctx, c)
	if err != nil {
		return watchword.Prompt{}, err
	}
	if len(keys) == 0 {
		prompt.Decoy, keys = true, s.decoys(c.App(), c.Subject)
	}
	prompt.Public["allowCredentials"] = descriptors(keys)
	return prompt, nil
}

// Verify judges an assertion (Level 3 §7.2). Whatever is wrong with it is ErrMismatch; Proof.Spend is the key with its new
// counter and backup state.
func (s *Strategy) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	answered, err := readCredential(answer)
	if err != nil {
		return watchword.Proof{}, err
	}
	a, err := answered.assertion()
	if err != nil {
		return watchword.Proof{}, s.refuse(ctx, c, err)
	}
	want := expected{challenge: s.challenge(c), verified: s.requires(c) == Required, named: c.Subject != ""}
	f, k, err := s.find(ctx, c, a.RawID)
	if err != nil {
		_, _ = s.judge(a, want, s.nobody(c.App(), c.Subject, a.RawID))
		return watchword.Proof{}, s.refuse(ctx, c, err)
	}
	use, err := s.judge(a, want, k)
	if err != nil {
		return watchword.Proof{}, s.refuse(ctx, c, err)
	}
	s.warn(ctx, c, use)
	return s.proof(c, f, k, use)
}

// Locate names the key that an assertion says it is by.
func (s *Strategy) Locate(c *watchword.Challenge, answer string) string {
	a, err := readCredential(answer)
	if err != nil {
		return ""
	}
	return s.factorID(c.App(), a.RawID)
}

// keys are those of the subject that may answer the challenge.
func (s *Strategy) keys(ctx context.Context, c *watchword.Challenge) ([]*key, error) {
	factors, err := c.Factors(ctx)
	if err != nil {
		return nil, err
	}
	var keys []*key
	var fault error
	for _, f := range factors {
		if f.Disabled { // one whose seal does not open is, too: its subject goes on with the others
			fault = cmp.Or(fault, faultOf(&f, c))
			continue
		}
		k, err := openKey(f)
		if err != nil {
			return nil, err
		}
		if k.RPID == s.cfg.RPID && (c.Factor == "" || c.Factor == f.ID) {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 && c.Purpose != watchword.PurposeEnrol {
		return nil, fault
	}
	return keys, nil
}

// faultOf is the server's fault that keeps a factor from being used, if it is one.
func faultOf(f *watchword.Factor, c *watchword.Challenge) error {
	if err := f.Usable(c); errors.Is(err, watchword.ErrUnavailable) {
		return err
	}
	return nil
}

// find reads the key that an answer names, if it may answer this challenge.
func (s *Strategy) find(ctx context.Context, c *watchword.Challenge, id []byte) (watchword.Factor, *key, error) {
	f, err := c.FindFactor(ctx, s.factorID(c.App(), id))
	switch {
	case errors.Is(err, watchword.ErrNotFound):
		err = refusedUnknown
	case err != nil:
	case c.Subject != "" && f.Subject != c.Subject:
		err = refusedForeign
	case c.Factor != "" && f.ID != c.Factor:
		err = refusedFactor
	case f.Disabled:
		err = cmp.Or(faultOf(&f, c), error(refusedDisabled))
	}
	if err != nil {
		return f, nil, err
	}
	k, err := openKey(f)
	return f, k, err
}

// requires is whether the challenge's answer must come from a verified user. Where nobody is named the key is all there
// is, so it must.
func (s *Strategy) requires(c *watchword.Challenge) Requirement {
	if c.Subject == "" {
		return Required
	}
	return s.cfg.policy(c.Purpose).UserVerification
}
