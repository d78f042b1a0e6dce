package watchword

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
)

// The id of a challenge is "ch_" and 44 characters of base64url: 16 random bytes, then 17 bytes that are masked with a PRF of
// the random ones, so that ids of one app or group do not look related:
//
//	random 16 | app 5 | group 8 | strategy 4 (top bits: trusted device, part of a verification, long-lived link)
//
// The tags of apps and strategies are wide enough that two of one deployment do not collide: with a thousand apps in one of
// two million deployments, with twenty strategies in one of two million. Groups that collide share a budget and nothing else.
//
// A node knows the app, the budget, the strategy and the partition of an id before it has read the store. An id alone proves
// nothing: the store's id repeats the group and the strategy, and there is no entry for an invented one.
//
// The id of a verification is "vf_" and the same parts, with a strategy that no challenge has.
const (
	challengePrefix  = "ch_"
	randomSize       = 16
	appSize          = 5
	groupSize        = 8
	strategyTagSize  = 4
	maskedPartSize   = appSize + groupSize + strategyTagSize
	idSize           = randomSize + maskedPartSize
	saltSize         = 32
	trustedDeviceBit = 0x80
	partBit          = 0x40
	longLivedBit     = 0x20
	groupTextSize    = 11 // characters of a group in base64
	entryTextSize    = 27 // characters of the random part and the strategy's tag in base64
)

var b64 = base64.RawURLEncoding.Strict()

// challengeID is a parsed id.
type challengeID struct {
	text        string // as callers see it
	storeID     string // id of the Entry: group, dot, random part and strategy's tag
	random      [randomSize]byte
	strategyTag [strategyTagSize]byte
	appTag      [appSize]byte
	groupTag    [groupSize]byte

	strategy Strategy // of the challenge
}

func (id *challengeID) fromTrustedDevice() bool { return id.strategyTag[0]&trustedDeviceBit != 0 }

// isPart reports whether the challenge is part of a verification.
func (id *challengeID) isPart() bool { return id.strategyTag[0]&partBit != 0 }

// isLongLived reports whether the challenge is a link that lives longer than 10 minutes.
func (id *challengeID) isLongLived() bool { return id.strategyTag[0]&longLivedBit != 0 }

// budgetKey returns the key of the group's budget, or of the budget of its trusted devices.
func (id *challengeID) budgetKey() string {
	if id.fromTrustedDevice() {
		return id.storeID[:groupTextSize] + ".known"
	}
	return id.storeID[:groupTextSize]
}

// mask applies the mask of an id's random part to the rest, or removes it.
func (keys *identity) mask(random [randomSize]byte, rest [maskedPartSize]byte) [maskedPartSize]byte {
	for n, m := range keys.masks.sum(string(random[:])) {
		if n < maskedPartSize {
			rest[n] ^= m
		}
	}
	return rest
}

// tag returns a keyed digest under the identity key.
func (keys *identity) tag(parts ...string) [32]byte { return keys.tags.sum(parts...) }

func (keys *identity) appTag(app string) (t [appSize]byte) {
	sum := keys.tag("app", app)
	copy(t[:], sum[:])
	return t
}

func (keys *identity) groupTag(app string, parts ...string) (t [groupSize]byte) {
	sum := keys.tag(append([]string{"group", app}, parts...)...)
	copy(t[:], sum[:])
	return t
}

// strategyTag returns the tag of a strategy in an id, without the bits that say more.
func (keys *identity) strategyTag(strategy string) (t [strategyTagSize]byte) {
	sum := keys.tag("strategy", strategy)
	copy(t[:], sum[:])
	t[0] &^= trustedDeviceBit | partBit | longLivedBit
	return t
}

// newID returns the id of a challenge or, with another prefix, of a verification.
func (keys *identity) newID(prefix string, random [randomSize]byte, appTag [appSize]byte, groupTag [groupSize]byte, strategyTag [strategyTagSize]byte) challengeID {
	var rest [maskedPartSize]byte
	copy(rest[:], appTag[:])
	copy(rest[appSize:], groupTag[:])
	copy(rest[appSize+groupSize:], strategyTag[:])
	rest = keys.mask(random, rest)
	raw := append(random[:], rest[:]...)
	return challengeID{text: prefix + b64.EncodeToString(raw), storeID: storeID(random, groupTag, strategyTag), random: random, appTag: appTag, groupTag: groupTag, strategyTag: strategyTag}
}

// storeID returns the id of an entry: the group, a dot, and the random part with the strategy's tag.
func storeID(random [randomSize]byte, groupTag [groupSize]byte, strategyTag [strategyTagSize]byte) string {
	var entryPart [randomSize + strategyTagSize]byte
	copy(entryPart[:], random[:])
	copy(entryPart[randomSize:], strategyTag[:])
	var text [groupTextSize + 1 + entryTextSize]byte
	b64.Encode(text[:], groupTag[:])
	text[groupTextSize] = '.'
	b64.Encode(text[groupTextSize+1:], entryPart[:])
	return string(text[:])
}

func (keys *identity) parseID(prefix, id string) (challengeID, bool) {
	text, ok := strings.CutPrefix(id, prefix)
	if !ok || len(text) != b64.EncodedLen(idSize) {
		return challengeID{}, false
	}
	var raw [idSize]byte
	if n, err := b64.Decode(raw[:], []byte(text)); err != nil || n != idSize {
		return challengeID{}, false
	}
	random := [randomSize]byte(raw[:])
	rest := keys.mask(random, [maskedPartSize]byte(raw[randomSize:]))
	out := challengeID{text: id, random: random, appTag: [appSize]byte(rest[:]), groupTag: [groupSize]byte(rest[appSize:]), strategyTag: [strategyTagSize]byte(rest[appSize+groupSize:])}
	out.storeID = storeID(random, out.groupTag, out.strategyTag)
	return out, true
}

// OwnsChallenge reports whether the id is of a challenge of the engine's app. It does not read the store. A server uses it to
// find the engine of a page or a callback.
func (e *Engine) OwnsChallenge(id string) bool {
	_, err := e.parse(id)
	return err == nil
}

// parse parses an id. An id of another app or of an unknown strategy is ErrUnknownChallenge.
func (e *Engine) parse(id string) (challengeID, error) {
	parsed, ok := e.identity.parseID(challengePrefix, id)
	if !ok || parsed.appTag != e.appTag {
		return challengeID{}, ErrUnknownChallenge
	}
	tag := parsed.strategyTag
	tag[0] &^= trustedDeviceBit | partBit | longLivedBit
	if parsed.strategy = e.strategiesByTag[tag]; parsed.strategy == nil {
		return challengeID{}, ErrUnknownChallenge
	}
	return parsed, nil
}

// parseWhole parses the id of a challenge that is no part of a verification. ErrPartOfVerification: it is one.
func (e *Engine) parseWhole(ctx context.Context, id string) (challengeID, error) {
	parsed, err := e.parse(id)
	if err == nil && parsed.isPart() {
		if _, _, err = e.read(ctx, parsed); err == nil { // an invented id is unknown
			err = ErrPartOfVerification
		}
	}
	return parsed, err
}

// newChallengeID returns an id with a random part, and a random salt. A seed determines the id and not the salt.
func (e *Engine) newChallengeID(req StartRequest, s Strategy, to Address) (challengeID, []byte, error) {
	randomBytes, err := e.random(2*randomSize + saltSize)
	if err != nil {
		return challengeID{}, nil, fmt.Errorf("watchword: random source: %w", err)
	}
	if req.Seed != nil {
		sum := e.identity.tags.sum("seed", e.cfg.App, string(req.Seed))
		copy(randomBytes, sum[:randomSize])
		groupSum := sha256.Sum256(sum[:])
		copy(randomBytes[randomSize:2*randomSize], groupSum[:])
	}
	var group [groupSize]byte
	switch s.Properties().Group {
	case GroupAddress:
		group = e.identity.groupTag(e.cfg.App, "address", to.key())
	case GroupSubject:
		label := "subject"
		if req.Purpose == PurposeEnrol {
			label = "enrolment" // its secret was just shown: it neither spends nor refills the budget of other challenges
		}
		group = e.identity.groupTag(e.cfg.App, label, s.Name(), req.Subject)
	default:
		copy(group[:], randomBytes[randomSize:])
	}
	tag := e.identity.strategyTag(s.Name())
	if req.Client.Known {
		tag[0] |= trustedDeviceBit
	}
	if req.verification != nil {
		tag[0] |= partBit
	}
	if e.isLongLived(req, s.Properties(), to) {
		tag[0] |= longLivedBit
	}
	id := e.identity.newID(challengePrefix, [randomSize]byte(randomBytes), e.appTag, group, tag)
	id.strategy = s
	return id, randomBytes[2*randomSize:], nil
}

// random returns n bytes of the configured source of randomness.
func (e *Engine) random(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := io.ReadFull(e.cfg.Random, b)
	return b, err
}
