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

// challengeLifetime is the lifetime of a challenge and the browser's timeout.
const challengeLifetime = 5 * time.Minute

// A Strategy implements [watchword.Enroller] for the relying party of one app. It is safe for concurrent use.
type Strategy struct {
	cfg               Config
	acceptedOrigins   []string          // web and native origins that an answer may have
	modelNames        map[string]string // by AAGUID
	allowedModels     map[string]bool   // by AAGUID; empty: all
	deniedModels      map[string]bool
	relatedOrigins    http.Handler
	libraryConfig     lib.Config
	assertionVerifier *lib.WebAuthn // without metadata
}

// New returns a Strategy, or an error with all invalid settings. It makes no network requests.
func New(cfg Config) (*Strategy, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Strategy{cfg: cfg, modelNames: parseModelTable(), acceptedOrigins: slices.Concat(cfg.Origins, cfg.RelatedOrigins, cfg.NativeOrigins)}
	var err error
	if rules := cfg.Attestation; rules != nil {
		if s.allowedModels, err = parseAAGUIDs(rules.Allow); err != nil {
			return nil, err
		}
		if s.deniedModels, err = parseAAGUIDs(rules.Deny); err != nil {
			return nil, err
		}
	}
	if s.relatedOrigins, err = cfg.relatedOrigins(); err != nil {
		return nil, err
	}
	s.libraryConfig = cfg.libraryConfig()
	asserts := s.libraryConfig
	if s.assertionVerifier, err = lib.New(&asserts); err != nil {
		return nil, err
	}
	return s, nil
}

// Name returns "webauthn".
func (s *Strategy) Name() string { return "webauthn" }

// Properties returns the properties of the strategy: the answer is an object and cannot be guessed, and a challenge may have no
// subject.
func (s *Strategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Group: watchword.GroupNone, Object: true, Tries: 1, Lifetime: challengeLifetime, Strength: watchword.StrengthKey,
		Ask: watchword.AskKey, MultiFactor: true, PhishingResistant: true}
}

// Begin asks for one of the subject's keys or, if the challenge has no subject, for any discoverable credential. A subject
// without usable keys gets decoys.
func (s *Strategy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	prompt := watchword.Prompt{Ask: watchword.AskKey, Public: s.requestOptions(c)}
	if c.Subject == "" {
		return prompt, nil
	}
	keys, err := s.usableKeys(ctx, c)
	if err != nil {
		return watchword.Prompt{}, err
	}
	if len(keys) == 0 {
		prompt.Decoy, keys = true, s.decoyKeys(c.App(), c.Subject)
	}
	prompt.Public["allowCredentials"] = credentialDescriptors(keys)
	return prompt, nil
}

// Verify verifies an assertion (Level 3 §7.2). The error for any wrong assertion is watchword.ErrMismatch. Proof.Spend is the
// key's factor with the new counter and backup state.
func (s *Strategy) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	answered, err := readCredential(answer)
	if err != nil {
		return watchword.Proof{}, err
	}
	a, err := answered.parseAssertion()
	if err != nil {
		return watchword.Proof{}, s.refuse(ctx, c, err)
	}
	want := expectation{challenge: s.encodeChallenge(c), userVerified: s.userVerification(c) == Required, subjectNamed: c.Subject != ""}
	f, k, err := s.findKey(ctx, c, a.RawID)
	if err != nil {
		_, _ = s.verifyAssertion(a, want, s.placeholderKey(c.App(), c.Subject, a.RawID))
		return watchword.Proof{}, s.refuse(ctx, c, err)
	}
	use, err := s.verifyAssertion(a, want, k)
	if err != nil {
		return watchword.Proof{}, s.refuse(ctx, c, err)
	}
	s.logWarnings(ctx, c, use)
	return s.newProof(c, f, k, use)
}

// Locate returns the id of the factor that an assertion names, or "" if the answer is malformed.
func (s *Strategy) Locate(c *watchword.Challenge, answer string) string {
	a, err := readCredential(answer)
	if err != nil {
		return ""
	}
	return s.factorID(c.App(), a.RawID)
}

// usableKeys returns the keys of the subject that may answer the challenge.
func (s *Strategy) usableKeys(ctx context.Context, c *watchword.Challenge) ([]*key, error) {
	factors, err := c.Factors(ctx)
	if err != nil {
		return nil, err
	}
	var keys []*key
	var fault error
	for _, f := range factors {
		if f.Disabled { // so is a factor that cannot be decrypted; the subject can use its other keys
			fault = cmp.Or(fault, serverFault(&f, c))
			continue
		}
		k, err := readKey(f)
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

// serverFault returns watchword.ErrUnavailable if a factor cannot be used because of a fault of the server, such as a missing
// encryption key; otherwise nil.
func serverFault(f *watchword.Factor, c *watchword.Challenge) error {
	if err := f.Usable(c); errors.Is(err, watchword.ErrUnavailable) {
		return err
	}
	return nil
}

// findKey returns the key with a credential id, if it may answer the challenge.
func (s *Strategy) findKey(ctx context.Context, c *watchword.Challenge, id []byte) (watchword.Factor, *key, error) {
	f, err := c.FindFactor(ctx, s.factorID(c.App(), id))
	switch {
	case errors.Is(err, watchword.ErrNotFound):
		err = refusedUnknownKey
	case err != nil:
	case c.Subject != "" && f.Subject != c.Subject:
		err = refusedOtherSubject
	case c.Factor != "" && f.ID != c.Factor:
		err = refusedOtherFactor
	case f.Disabled:
		err = cmp.Or(serverFault(&f, c), error(refusedDisabledKey))
	}
	if err != nil {
		return f, nil, err
	}
	k, err := readKey(f)
	return f, k, err
}

// userVerification returns the user verification requirement of a challenge. Without a subject the key is the only factor, so
// it is required, and so it is if the answer must prove two kinds of factors.
func (s *Strategy) userVerification(c *watchword.Challenge) Requirement {
	if c.Subject == "" || c.Require == watchword.RequireMFA {
		return Required
	}
	return s.cfg.policy(c.Purpose).UserVerification
}
