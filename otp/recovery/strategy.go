package recovery

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"time"

	"github.com/watchword-auth/watchword"
)

// Remaining is how many codes of a set are left: a name in the factor's Public and, after a right answer, in the Proof's
// Extra and so in the receipt. An app asks for a new set when few are left.
const Remaining = "codes_remaining"

// A Strategy checks recovery codes. It has no settings and is a watchword.Enroller.
type Strategy struct{}

var (
	_ watchword.Enroller   = (*Strategy)(nil)
	_ watchword.DecoyMaker = (*Strategy)(nil)
)

// New makes the strategy.
func New() *Strategy { return &Strategy{} }

// Name is "recovery".
func (*Strategy) Name() string { return "recovery" }

// StrategyProperties says that guesses are counted by subject, and that ten codes are right at a time.
func (*Strategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Group: watchword.GroupSubject, Subject: true, Strength: watchword.StrengthRecovery,
		Typed: watchword.Typed{Alphabet: alphabet, Min: codeLength, Max: codeLength},
		Space: math.Pow(float64(len(alphabet)), randomSymbols), RightAnswers: codesPerSet}
}

// Begin asks for a code. ErrNotEnrolled if the subject has none, or none left.
func (*Strategy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	if _, _, err := usableSet(ctx, c); err != nil {
		return watchword.Prompt{}, err
	}
	return watchword.Prompt{Ask: watchword.AskCode, Public: map[string]any{"letters": true}}, nil
}

// lowThreshold codes left are told to the app each time that one is used.
const lowThreshold = 3

// Verify looks the code up. Proof.Spend is the set without it. A wrong one is no failure of the factor: these codes
// cannot be guessed, and they are what is left when other factors are disabled.
func (*Strategy) Verify(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Proof, error) {
	f, s, err := usableSet(ctx, c)
	if err != nil {
		return watchword.Proof{}, err
	}
	at := s.findCode(answer)
	if at < 0 {
		return watchword.Proof{}, watchword.ErrMismatch
	}
	s.removeCode(at)
	if err := s.writeTo(f); err != nil {
		return watchword.Proof{}, err
	}
	return watchword.Proof{Spend: f, Low: len(s.Digests) <= lowThreshold, Extra: map[string]any{Remaining: len(s.Digests)}}, nil
}

// DecoyFactor makes a set that nobody has.
func (*Strategy) DecoyFactor(c *watchword.Challenge) ([]byte, error) {
	s := &set{Key: c.DeriveBytes("decoy key", 32), Confirmed: c.CreatedAt}
	for i := range codesPerSet {
		s.Digests = append(s.Digests, digestCode(s.Key, strconv.Itoa(i))) // of what is no code
	}
	return json.Marshal(s)
}

// Describe says how many codes are left.
func (*Strategy) Describe(f watchword.Factor) map[string]any {
	s, err := parseSet(f.Data)
	if err != nil {
		return nil
	}
	return map[string]any{Remaining: len(s.Digests)}
}

// BeginEnrol shows the codes of a new set.
func (*Strategy) BeginEnrol(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	_, plain := newSet(c)
	shown := make([]string, len(plain))
	for i, code := range plain {
		shown[i] = formatCode(code)
	}
	return watchword.Prompt{Ask: watchword.AskCode, Public: map[string]any{"codes": shown}}, nil
}

// VerifyEnrol returns the set that one of its codes confirms, in the place of the set in force, also where that cannot be read
// any more. A set that this very challenge has confirmed already comes back as it is now, so that proving twice restores no
// code.
func (*Strategy) VerifyEnrol(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	s, _ := newSet(c)
	if s.findCode(answer) < 0 {
		return watchword.Factor{}, watchword.ErrMismatch
	}
	f := watchword.Factor{ID: factorID(c.App(), c.Subject)}
	before, inForce, err := currentSet(ctx, c)
	switch {
	case err != nil:
		return watchword.Factor{}, err
	case before == nil:
	case before.CreatedBy == c.ID:
		return *before, nil
	case inForce != nil && inForce.Confirmed.After(c.CreatedAt):
		return watchword.Factor{}, watchword.ErrMismatch
	default:
		f.CreatedAt, f.Version = before.CreatedAt, before.Version
	}
	s.Confirmed = c.Now().UTC().Truncate(time.Millisecond) // as precise as when a challenge was created
	return f, s.writeTo(&f)
}

// currentSet reads the subject's set; nil if there is none. Of a factor that cannot be read the set is nil.
func currentSet(ctx context.Context, c *watchword.Challenge) (*watchword.Factor, *set, error) {
	enrolled, err := c.Factors(ctx)
	if err != nil {
		return nil, nil, err
	}
	id := factorID(c.App(), c.Subject)
	for i := range enrolled {
		if enrolled[i].ID != id && !c.Decoy { // a decoy's only one is nobody's
			continue
		}
		if enrolled[i].Unreadable() {
			return &enrolled[i], nil, nil
		}
		s, err := parseSet(enrolled[i].Data)
		return &enrolled[i], s, err
	}
	return nil, nil, nil
}

// usableSet reads the subject's set if a code of it may be used now.
func usableSet(ctx context.Context, c *watchword.Challenge) (*watchword.Factor, *set, error) {
	f, s, err := currentSet(ctx, c)
	switch {
	case err != nil:
		return nil, nil, err
	case c.Factor != "" && (f == nil || f.ID != c.Factor):
		return nil, nil, watchword.ErrUnknownFactor
	case f != nil && s == nil:
		return nil, nil, f.Usable(c)
	case f == nil || len(s.Digests) == 0:
		return nil, nil, watchword.ErrNotEnrolled
	}
	return f, s, f.Usable(c)
}

// factorID names the one set of a subject.
func factorID(app, subject string) string {
	sum := sha256.Sum256([]byte(strconv.Quote(app) + strconv.Quote(subject) + `"recovery"`))
	return "fa_" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
