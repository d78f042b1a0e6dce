package watchword

import (
	"encoding/base64"
	"strings"
)

// The id of a challenge is "ch_" and 44 characters of base64url: 16 random bytes, then 17 bytes that are masked with a PRF of
// the random ones, so that ids of one app or group do not look related:
//
//	random 16 | app 5 | group 8 | strategy 4 (top bit: trusted device)
//
// The tags of apps and strategies are wide enough that two of one deployment do not collide: with a thousand apps in one of
// two million deployments, with twenty strategies in one of ten million. Groups that collide share a budget and nothing else.
//
// A node knows the app, the budget, the strategy and the partition of an id before it has read the store. An id alone proves
// nothing: the store's id repeats the group and the strategy, and there is no entry for an invented one.
const (
	idPrefix   = "ch_"
	randomSize = 16
	appSize    = 5
	groupSize  = 8
	kindSize   = 4
	maskedSize = appSize + groupSize + kindSize
	idSize     = randomSize + maskedSize
	saltSize   = 32
	knownBit   = 0x80
	groupText  = 11 // characters of a group in base64
	ownText    = 27 // characters of the random part and the strategy's tag in base64
)

var b64 = base64.RawURLEncoding.Strict()

// challengeID is a parsed id.
type challengeID struct {
	id    string // as callers see it
	ref   string // id of the Entry: group, dot, random part and strategy's tag
	rand  [randomSize]byte
	kind  [kindSize]byte
	app   [appSize]byte
	group [groupSize]byte

	strategy Strategy // of the challenge
}

func (i *challengeID) known() bool { return i.kind[0]&knownBit != 0 }

// budgetKey returns the key of the group's budget, or of the budget of its trusted devices.
func (i *challengeID) budgetKey() string {
	if i.known() {
		return i.ref[:groupText] + ".known"
	}
	return i.ref[:groupText]
}

// mask applies the mask of an id's random part to the rest, or removes it.
func (i *identity) masked(random [randomSize]byte, rest [maskedSize]byte) [maskedSize]byte {
	for n, m := range i.masks.sum(string(random[:])) {
		if n < maskedSize {
			rest[n] ^= m
		}
	}
	return rest
}

// tag returns a keyed digest under the identity key.
func (i *identity) tag(parts ...string) [32]byte { return i.tags.sum(parts...) }

func (i *identity) appTag(app string) (t [appSize]byte) {
	sum := i.tag("app", app)
	copy(t[:], sum[:])
	return t
}

func (i *identity) groupTag(app string, parts ...string) (t [groupSize]byte) {
	sum := i.tag(append([]string{"group", app}, parts...)...)
	copy(t[:], sum[:])
	return t
}

// strategyTag returns the tag of a strategy in an id.
func (i *identity) kindTag(strategy string, known bool) (t [kindSize]byte) {
	sum := i.tag("strategy", strategy)
	copy(t[:], sum[:])
	t[0] &^= knownBit
	if known {
		t[0] |= knownBit
	}
	return t
}

func (i *identity) newChallengeID(random [randomSize]byte, app [appSize]byte, group [groupSize]byte, kind [kindSize]byte) challengeID {
	var rest [maskedSize]byte
	copy(rest[:], app[:])
	copy(rest[appSize:], group[:])
	copy(rest[appSize+groupSize:], kind[:])
	rest = i.masked(random, rest)
	raw := append(random[:], rest[:]...)
	return challengeID{id: idPrefix + b64.EncodeToString(raw), ref: storeID(random, group, kind), rand: random, app: app, group: group, kind: kind}
}

// storeID returns the id of an entry: the group, a dot, and the random part with the strategy's tag.
func storeID(random [randomSize]byte, group [groupSize]byte, kind [kindSize]byte) string {
	var own [randomSize + kindSize]byte
	copy(own[:], random[:])
	copy(own[randomSize:], kind[:])
	var text [groupText + 1 + ownText]byte
	b64.Encode(text[:], group[:])
	text[groupText] = '.'
	b64.Encode(text[groupText+1:], own[:])
	return string(text[:])
}

func (i *identity) parseID(id string) (challengeID, bool) {
	text, ok := strings.CutPrefix(id, idPrefix)
	if !ok || len(text) != b64.EncodedLen(idSize) {
		return challengeID{}, false
	}
	var raw [idSize]byte
	if n, err := b64.Decode(raw[:], []byte(text)); err != nil || n != idSize {
		return challengeID{}, false
	}
	random := [randomSize]byte(raw[:])
	rest := i.masked(random, [maskedSize]byte(raw[randomSize:]))
	out := challengeID{id: id, rand: random, app: [appSize]byte(rest[:]), group: [groupSize]byte(rest[appSize:]), kind: [kindSize]byte(rest[appSize+groupSize:])}
	out.ref = storeID(random, out.group, out.kind)
	return out, true
}
