package watchword

import (
	"encoding/base64"
	"slices"
	"strings"
)

// A challenge's id is ch_ and 40 characters: 16 random bytes, then 14 that are masked with a PRF of the random ones, so
// that ids of one app or one group do not look related:
//
//	random 16 | app 4 | group 8 | strategy 2 (the top bit: a known device)
//
// So a node that has read nothing yet knows the app, the budget, the strategy and the partition of an id. Nothing is
// believed of an id alone: the store's id repeats the group and the strategy, and of those made up there is no entry.
const (
	idPrefix   = "ch_"
	randomSize = 16
	appSize    = 4
	groupSize  = 8
	kindSize   = 2
	idSize     = randomSize + appSize + groupSize + kindSize
	saltSize   = 32
	knownBit   = 0x80
)

var b64 = base64.RawURLEncoding.Strict()

// ident is a parsed id.
type ident struct {
	id    string // as callers see it
	ref   string // as the store sees it: group, dot, random and kind
	rand  [randomSize]byte
	kind  [kindSize]byte
	app   [appSize]byte
	group [groupSize]byte
}

func (i *ident) known() bool { return i.kind[0]&knownBit != 0 }

// budgetKey is the group's, or of the group's known devices.
func (i *ident) budgetKey() string {
	key := b64.EncodeToString(i.group[:])
	if i.known() {
		return key + ".known"
	}
	return key + ".any"
}

func (i *identity) mask(random []byte) []byte {
	m := i.masks.sum(random)
	return m[:idSize-randomSize]
}

// tag is a short name of something, under the identity key.
func (i *identity) tag(parts ...string) [32]byte {
	raw := make([][]byte, len(parts))
	for n, p := range parts {
		raw[n] = []byte(p)
	}
	return i.tags.sum(raw...)
}

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

// kindTag names a strategy in an id; New sees to it that no two have the same.
func (i *identity) kindTag(strategy string, known bool) (t [kindSize]byte) {
	sum := i.tag("strategy", strategy)
	copy(t[:], sum[:])
	t[0] &^= knownBit
	if known {
		t[0] |= knownBit
	}
	return t
}

func (i *identity) newIdent(random [randomSize]byte, app [appSize]byte, group [groupSize]byte, kind [kindSize]byte) ident {
	clear := slices.Concat(app[:], group[:], kind[:])
	for n, m := range i.mask(random[:]) {
		clear[n] ^= m
	}
	id := ident{rand: random, app: app, group: group, kind: kind, ref: storeID(random[:], group, kind)}
	id.id = idPrefix + b64.EncodeToString(append(random[:], clear...))
	return id
}

func storeID(random []byte, group [groupSize]byte, kind [kindSize]byte) string {
	return b64.EncodeToString(group[:]) + "." + b64.EncodeToString(slices.Concat(random, kind[:]))
}

func (i *identity) parseID(id string) (ident, bool) {
	text, ok := strings.CutPrefix(id, idPrefix)
	if !ok || len(text) != b64.EncodedLen(idSize) {
		return ident{}, false
	}
	raw, err := b64.DecodeString(text)
	if err != nil {
		return ident{}, false
	}
	random, rest := raw[:randomSize], raw[randomSize:]
	for n, m := range i.mask(random) {
		rest[n] ^= m
	}
	out := ident{id: id, rand: [randomSize]byte(random), app: [appSize]byte(rest), group: [groupSize]byte(rest[appSize:]), kind: [kindSize]byte(rest[appSize+groupSize:])}
	out.ref = storeID(random, out.group, out.kind)
	return out, true
}
