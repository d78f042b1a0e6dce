package watchword

import (
	"encoding/base64"
	"strings"
)

// A challenge's id is ch_ and 44 characters: 16 random bytes, then 17 that are masked with a PRF of the random ones, so
// that ids of one app or one group do not look related:
//
//	random 16 | app 5 | group 8 | strategy 4 (the top bit: a known device)
//
// Apps and strategies are few but nobody can rename them, so their tags are wide enough that two of one deployment do not
// meet: with a thousand apps in one of two million deployments, with twenty strategies in one of ten million. Groups that
// meet share a budget and nothing else.
//
// So a node that has read nothing yet knows the app, the budget, the strategy and the partition of an id. Nothing is
// believed of an id alone: the store's id repeats the group and the strategy, and of those made up there is no entry.
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
	ownText    = 27 // and of the random part and the kind
)

var b64 = base64.RawURLEncoding.Strict()

// challengeID is a parsed id.
type challengeID struct {
	id    string // as callers see it
	ref   string // as the store sees it: group, dot, random and kind
	rand  [randomSize]byte
	kind  [kindSize]byte
	app   [appSize]byte
	group [groupSize]byte

	strategy Strategy // that made the challenge
}

func (i *challengeID) known() bool { return i.kind[0]&knownBit != 0 }

// budgetKey is the group's, or of the group's known devices.
func (i *challengeID) budgetKey() string {
	if i.known() {
		return i.ref[:groupText] + ".known"
	}
	return i.ref[:groupText]
}

// masked applies the mask of an id's random part to the rest, or takes it off again.
func (i *identity) masked(random [randomSize]byte, rest [maskedSize]byte) [maskedSize]byte {
	for n, m := range i.masks.sum(string(random[:])) {
		if n < maskedSize {
			rest[n] ^= m
		}
	}
	return rest
}

// tag is a short name of something, under the identity key.
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

// kindTag names a strategy in an id.
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

// storeID is the group, a dot, and the random part and the kind.
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
