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

// Remaining is the name of the number of unused codes, an int, in a factor's Public and in the Extra of the Proof of a right
// answer, and so in the receipt. Apps should ask the person for a new set when few codes are left.
const Remaining = "codes_remaining"

// A Strategy verifies recovery codes. It has no settings, implements watchword.Enroller and is safe for concurrent use.
type Strategy struct{}

var (
	_ watchword.Enroller   = (*Strategy)(nil)
	_ watchword.DecoyMaker = (*Strategy)(nil)
)

// New returns a Strategy.
func New() *Strategy { return &Strategy{} }

// Name returns "recovery".
func (*Strategy) Name() string { return "recovery" }

// Properties returns the properties of the strategy: wrong answers count against the subject, and ten codes are right at a time.
func (*Strategy) Properties() watchword.StrategyProperties {
	return watchword.StrategyProperties{Group: watchword.GroupSubject, Subject: true, Strength: watchword.StrengthRecovery, Ask: watchword.AskCode,
		Source:      watchword.SourceSaved,
		Typed:       watchword.Typed{Alphabet: alphabet, Min: codeLength, Max: codeLength},
		AnswerSpace: math.Pow(float64(len(alphabet)), randomSymbols), RightAnswers: codesPerSet}
}

// Begin asks for a code. The error is watchword.ErrNotEnrolled if the subject has no set or no unused code.
func (*Strategy) Begin(ctx context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	if _, _, err := usableSet(ctx, c); err != nil {
		return watchword.Prompt{}, err
	}
	return watchword.Prompt{Ask: watchword.AskCode, Public: map[string]any{"letters": true, "length": codeLength, "alphabet": alphabet}}, nil
}

// lowThreshold is the number of unused codes at or below which Proof.Low is set.
const lowThreshold = 3

// Verify searches the set for the code. Proof.Spend is the factor without the code. A wrong code does not count as a failure of
// the factor and never disables it: the codes cannot be guessed, and they must work when other factors are disabled.
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
	return watchword.Proof{Spend: f, CodesLow: len(s.Digests) <= lowThreshold, Extra: map[string]any{Remaining: len(s.Digests)}}, nil
}

// DecoyFactor returns the data of a set that does not exist.
func (*Strategy) DecoyFactor(c *watchword.Challenge) ([]byte, error) {
	s := &set{Key: c.DeriveBytes("decoy key", 32), Confirmed: c.CreatedAt}
	for i := range codesPerSet {
		s.Digests = append(s.Digests, digestCode(s.Key, strconv.Itoa(i))) // no code has this form
	}
	return json.Marshal(s)
}

// Describe returns the number of unused codes.
func (*Strategy) Describe(f watchword.Factor) map[string]any {
	s, err := parseSet(f.Data)
	if err != nil {
		return nil
	}
	return map[string]any{Remaining: len(s.Digests)}
}

// BeginEnrol returns the codes of a new set.
func (*Strategy) BeginEnrol(_ context.Context, c *watchword.Challenge) (watchword.Prompt, error) {
	_, plain := newSet(c)
	formatted := make([]string, len(plain))
	for i, code := range plain {
		formatted[i] = formatCode(code)
	}
	return watchword.Prompt{Ask: watchword.AskCode, Public: map[string]any{"codes": formatted}}, nil
}

// VerifyEnrol returns the factor of the set that the code confirms. It replaces the subject's current set, even one that cannot
// be decrypted. If this challenge has confirmed its set before, the stored factor is returned, so that a repeated answer
// does not restore used codes.
func (*Strategy) VerifyEnrol(ctx context.Context, c *watchword.Challenge, answer string) (watchword.Factor, error) {
	s, _ := newSet(c)
	if s.findCode(answer) < 0 {
		return watchword.Factor{}, watchword.ErrMismatch
	}
	f := watchword.Factor{ID: factorID(c.App(), c.Subject)}
	stored, currentCodes, err := currentSet(ctx, c)
	switch {
	case err != nil:
		return watchword.Factor{}, err
	case stored == nil:
	case stored.CreatedBy == c.ID:
		return *stored, nil
	case currentCodes != nil && currentCodes.Confirmed.After(c.CreatedAt):
		return watchword.Factor{}, watchword.ErrMismatch
	default:
		f.CreatedAt, f.Version = stored.CreatedAt, stored.Version
	}
	s.Confirmed = c.Now().UTC().Truncate(time.Millisecond) // the precision of Challenge.CreatedAt
	return f, s.writeTo(&f)
}

// currentSet returns the subject's factor and its set. Both are nil if there is none; the set is nil if the factor cannot be
// decrypted.
func currentSet(ctx context.Context, c *watchword.Challenge) (*watchword.Factor, *set, error) {
	enrolled, err := c.Factors(ctx)
	if err != nil {
		return nil, nil, err
	}
	id := factorID(c.App(), c.Subject)
	for i := range enrolled {
		if enrolled[i].ID != id && !c.Decoy { // a decoy's factor has another id
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

// usableSet returns the subject's factor and its set if a code of it may be used now.
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

// factorID returns the id of a subject's set.
func factorID(app, subject string) string {
	sum := sha256.Sum256([]byte(strconv.Quote(app) + strconv.Quote(subject) + `"recovery"`))
	return "fa_" + base64.RawURLEncoding.EncodeToString(sum[:16])
}
