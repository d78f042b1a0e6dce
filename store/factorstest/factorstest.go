// Package factorstest tests implementations of watchword.Factors. The test of a store is short:
//
//	func TestFactors(t *testing.T) {
//		factorstest.Run(t, func(t *testing.T) watchword.Factors { return open(t) })
//	}
//
// Every subtest uses its own app, so that all may share one store, also one with existing data.
//
// RunCrash tests the durability of a store.
package factorstest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// Run tests the stores that open returns. All stores of one call of Run must share their storage, because a subtest may open
// several as nodes.
func Run(t *testing.T, open func(t *testing.T) watchword.Factors) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"Create", testCreate}, {"Get", testGet}, {"List", testList}, {"Update", testUpdate}, {"Delete", testDelete},
		{"Apps", testApps}, {"Texts", testTexts}, {"Copies", testCopies}, {"Canceled", testCanceled}, {"ReadAt", testReadAt}, {"Page", testPage},
		{"RacingUpdates", testRacingUpdates}, {"RacingCreates", testRacingCreates}, {"RacingEverything", testRacingEverything},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.run(t, &suite{t: t, Factors: open(t), app: "app-" + strings.ToLower(rand.Text())})
		})
	}
}

// A suite is a store with an app that only one subtest uses.
type suite struct {
	watchword.Factors
	t   *testing.T
	app string
}

var baseTime = time.Date(2026, 5, 4, 12, 0, 0, int(123*time.Millisecond), time.UTC)

func (s *suite) factor(id, subject string) watchword.SealedFactor {
	return watchword.SealedFactor{ID: id, App: s.app, Subject: subject, Strategy: "totp", CreatedAt: baseTime, Version: 1, Data: []byte("sealed " + id)}
}

func (s *suite) create(f watchword.SealedFactor) watchword.SealedFactor {
	s.t.Helper()
	if err := s.Create(s.t.Context(), f); err != nil {
		s.t.Fatalf("create %s: %v", f.ID, err)
	}
	return f
}

// wantStored compares the stored factor.
func (s *suite) wantStored(want watchword.SealedFactor) {
	s.t.Helper()
	got, err := s.Get(s.t.Context(), want.App, want.ID)
	if err != nil || !equalFactors(got, want) {
		s.t.Errorf("kept %+v (%v), want %+v", got, err, want)
	}
}

func equalFactors(a, b watchword.SealedFactor) bool {
	return a.ID == b.ID && a.App == b.App && a.Subject == b.Subject && a.Strategy == b.Strategy && a.CreatedAt.Equal(b.CreatedAt) &&
		a.Version == b.Version && bytes.Equal(a.Data, b.Data)
}

// wantError compares an error with a sentinel.
func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func testCreate(t *testing.T, s *suite) {
	f := s.create(s.factor("a", "user"))
	s.wantStored(f)
	again := s.factor("a", "somebody else")
	wantError(t, "an id that exists", s.Create(t.Context(), again), watchword.ErrExists)
	s.wantStored(f)

	odd := s.factor("b", "user")
	odd.Version = 7
	s.create(odd)
	odd.Version = 1
	s.wantStored(odd)
}

func testUpdate(t *testing.T, s *suite) {
	f := s.create(s.factor("a", "user"))
	other := s.create(s.factor("b", "user"))
	f.Data = []byte("changed")
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	stale := f
	stale.Data = []byte("from an old version")
	wantError(t, "an old version", s.Update(t.Context(), stale), watchword.ErrConflict)
	f.Version = 2
	s.wantStored(f)
	future := f
	future.Version = 3
	wantError(t, "a future version", s.Update(t.Context(), future), watchword.ErrConflict)
	missing := s.factor("none", "user")
	wantError(t, "no such id", s.Update(t.Context(), missing), watchword.ErrNotFound)
	s.wantStored(f)
	s.wantStored(other)

	moved := f
	moved.Subject, moved.Strategy, moved.CreatedAt, moved.Data = "somebody else", "webauthn", baseTime.Add(time.Hour), []byte("moved")
	if err := s.Update(t.Context(), moved); err != nil {
		t.Fatal(err)
	}
	f.Version, f.Data = 3, moved.Data
	s.wantStored(f)
}

func testDelete(t *testing.T, s *suite) {
	f := s.create(s.factor("a", "user"))
	other := s.create(s.factor("b", "user"))
	wantError(t, "no such id", s.Delete(t.Context(), s.app, "none"), watchword.ErrNotFound)
	if err := s.Delete(t.Context(), s.app, "a"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Get(t.Context(), s.app, "a")
	wantError(t, "get what was deleted", err, watchword.ErrNotFound)
	wantError(t, "update what was deleted", s.Update(t.Context(), f), watchword.ErrNotFound)
	wantError(t, "delete it again", s.Delete(t.Context(), s.app, "a"), watchword.ErrNotFound)
	if got, err := s.List(t.Context(), s.app, "user"); err != nil || len(got) != 1 {
		t.Errorf("listed %d: %v", len(got), err)
	}
	s.wantStored(other)
	s.create(f)
	s.wantStored(f)
}

// Two apps may have the same ids and subjects. They do not see each other's factors.
func testApps(t *testing.T, s *suite) {
	f := s.create(s.factor("a", "user"))
	otherApp := *s
	otherApp.app += "-2"
	wantGone := func(when string) {
		t.Helper()
		_, err := s.Get(t.Context(), otherApp.app, "a")
		wantError(t, when+", get", err, watchword.ErrNotFound)
		wantError(t, when+", update", s.Update(t.Context(), otherApp.factor("a", "user")), watchword.ErrNotFound)
		wantError(t, when+", delete", s.Delete(t.Context(), otherApp.app, "a"), watchword.ErrNotFound)
		if got, err := s.List(t.Context(), otherApp.app, "user"); err != nil || len(got) != 0 {
			t.Errorf("%s, list: %v, %v", when, got, err)
		}
	}
	wantGone("of another app")
	theirFactor := otherApp.factor("a", "user")
	theirFactor.Data = []byte("theirFactor")
	s.create(theirFactor)
	s.wantStored(theirFactor)
	s.wantStored(f)
	if err := s.Delete(t.Context(), otherApp.app, "a"); err != nil {
		t.Fatal(err)
	}
	wantGone("after the deletion")
	s.wantStored(f)
}

// Ids, subjects and data are returned byte for byte, and similar ones are different.
func testTexts(t *testing.T, s *suite) {
	texts := []string{"x", "X", "x ", " x", "é", "e\u0301", "ß", "SS", "ss", "'; --", `"`, "%", "_", "\\", "?", "$1", "日本語", "🔑", strings.Repeat("long", 60)}
	for i, text := range texts {
		f := s.factor(text, text)
		f.Data = []byte{0, byte(i), 0xff, 0xfe, '\'', 0}
		s.create(f)
	}
	for i, text := range texts {
		f := s.factor(text, text)
		f.Data = []byte{0, byte(i), 0xff, 0xfe, '\'', 0}
		s.wantStored(f)
		if got, err := s.List(t.Context(), s.app, text); err != nil || len(got) != 1 || !equalFactors(got[0], f) {
			t.Errorf("of the subject %q: %+v, %v", text, got, err)
		}
	}
	big := s.factor("big", "user")
	big.Data = bytes.Repeat([]byte{0xa5}, 64<<10)
	s.wantStored(s.create(big))
}

// The store copies data: a caller may modify its slice afterwards.
func testCopies(t *testing.T, s *suite) {
	f := s.factor("a", "user")
	f.Data = []byte("data")
	s.create(f)
	f.Data[0] = 'X'
	got, err := s.Get(t.Context(), s.app, "a")
	if err != nil || string(got.Data) != "data" {
		t.Fatalf("kept %q (%v) after the caller changed its own", got.Data, err)
	}
	got.Data[0] = 'X'
	listed, err := s.List(t.Context(), s.app, "user")
	if err != nil || string(listed[0].Data) != "data" {
		t.Fatalf("kept %q (%v) after the caller changed what it was given", listed[0].Data, err)
	}
}

// A call with a canceled context that returns an error has changed nothing.
func testCanceled(t *testing.T, s *suite) {
	f := s.create(s.factor("a", "user"))
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if s.Update(canceled, f) != nil {
		s.wantStored(f)
	}
	if s.Create(canceled, s.factor("b", "user")) != nil {
		_, err := s.Get(t.Context(), s.app, "b")
		wantError(t, "created with a canceled context", err, watchword.ErrNotFound)
	}
}
