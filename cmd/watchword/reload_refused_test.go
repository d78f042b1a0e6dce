package main

import (
	"log/slog"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// A reload that is refused after it opened the stores of a new app closes them, and leaves those of the running apps open.
func TestRefusedReloadClosesStoresOfNewApps(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	var c checker
	s := c.developmentSettings(fileConfig{DataDir: t.TempDir()})
	s.redis = watchword.NewCode(redis.URL())
	s.apps[0].publicURL = "https://verify.example.com"
	running, problems := build(t.Context(), s, slog.New(slog.DiscardHandler), nil, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	t.Cleanup(func() { _ = running.storage.close() })
	added := s.apps[0]
	added.id, added.publicURL, added.templates = "diary", "https://diary.example.com", t.TempDir()+"/missing"
	next := s
	next.apps = []appSettings{s.apps[0], added}
	b := newBuilder(next, slog.New(slog.DiscardHandler))
	b.running = running
	if _, problems := b.build(t.Context()); len(problems) != 1 {
		t.Fatalf("a reload with templates that are missing: %v", problems)
	}
	ping := func(stores map[string]appStorage, app string) error {
		return stores[app].store.(watchword.Pinger).Ping(t.Context())
	}
	if ping(b.service.storage.apps, "diary") == nil {
		t.Error("the store of the app that was not added is open")
	}
	if err := ping(running.storage.apps, s.apps[0].id); err != nil {
		t.Errorf("the running app: %v", err)
	}
	if _, known := running.storage.apps["diary"]; known || len(running.storage.closers) == len(b.service.storage.closers) {
		t.Error("the running service has the store of the app that was not added")
	}
}
