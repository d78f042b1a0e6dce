package main

import (
	"context"
	"log/slog"
	"slices"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/receipt"
)

// otherProblems are those that show only when the rooms of the house are made, for settings that have problems already:
// a template that does not parse, say. What is missing is replaced by stand-ins, so that nothing is reported twice and
// nothing is left for the next attempt.
func (s settings) otherProblems() []error {
	var c checker
	c.note("stand-ins", s.standIn())
	b := newBuilder(s, slog.New(slog.DiscardHandler))
	b.offline = true
	b.rooms(context.Background(), &c, newInbox())
	c.note("stores", b.house.storage.close())
	return c.problems
}

func (s *settings) standIn() error {
	const name = "stand-in"
	key, err := watchword.NewKey(name, make([]byte, secretBytes))
	if err != nil {
		return err
	}
	if len(s.keys) == 0 {
		s.keys = []watchword.Key{key}
	}
	if s.identity.ID == "" {
		if s.identity, err = watchword.NewKey(identityKeyID, make([]byte, secretBytes)); err != nil {
			return err
		}
	}
	if len(s.signing) == 0 {
		signing, err := receipt.GenerateKey(name, receipt.EdDSA)
		if err != nil {
			return err
		}
		s.signing = []receipt.Key{signing}
	}
	if s.redis.IsZero() {
		s.redis = watchword.NewCode(memoryURL)
	}
	s.apps = slices.Clone(s.apps)
	for i := range s.apps {
		a := &s.apps[i]
		if a.id == "" {
			a.id = name
		}
		if a.publicURL == "" {
			a.publicURL = "https://" + name + ".invalid"
		}
	}
	return nil
}
