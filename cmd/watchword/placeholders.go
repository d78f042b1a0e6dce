package main

import (
	"context"
	"log/slog"
	"slices"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/keyfiles"
	"github.com/watchword-auth/watchword/receipt"
)

// findBuildProblems returns the problems that only building a service shows, such as a template that does not parse, for
// settings that already have others. Placeholders take the place of missing settings, so that no problem is reported twice
// and all are reported in one run.
func (s settings) findBuildProblems() []error {
	var c checker
	c.addError("placeholders", s.fillPlaceholders())
	b := newBuilder(s, slog.New(slog.DiscardHandler))
	b.offline = true
	b.buildShared(context.Background(), &c)
	b.buildApps(&c)
	c.addError("stores", b.service.storage.close())
	return c.problems
}

// fillPlaceholders gives missing settings a value with which a service can be built.
func (s *settings) fillPlaceholders() error {
	const name = "placeholder"
	key, err := watchword.NewKey(name, make([]byte, secretBytes))
	if err != nil {
		return err
	}
	if len(s.keys) == 0 {
		s.keys = []watchword.Key{key}
	}
	if s.identity.ID == "" {
		if s.identity, err = watchword.NewKey(keyfiles.IdentityKeyID, make([]byte, secretBytes)); err != nil {
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
