package factorstest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

func testGet(t *testing.T, s *suite) {
	_, err := s.Get(t.Context(), s.app, "none")
	wantError(t, "no such id", err, watchword.ErrNotFound)
	_, err = s.Get(t.Context(), s.app, "")
	wantError(t, "the empty id", err, watchword.ErrNotFound)
}

// List returns the oldest factor first; of two with the same time, the one with the lower id. It returns no factors of other
// subjects.
func testList(t *testing.T, s *suite) {
	if got, err := s.List(t.Context(), s.app, "user"); err != nil || len(got) != 0 {
		t.Errorf("a subject without factors: %v, %v", got, err)
	}
	add := func(id, subject string, age time.Duration) {
		f := s.factor(id, subject)
		f.CreatedAt = baseTime.Add(-age)
		s.create(f)
	}
	add("c", "user", time.Hour)
	add("a", "user", time.Minute)
	add("b", "user", time.Minute)
	add("d", "user", time.Millisecond)
	add("e", "user", 2*time.Hour)
	add("f", "User", 0)
	add("g", "user ", 0)
	got, err := s.List(t.Context(), s.app, "user")
	if err != nil {
		t.Fatal(err)
	}
	var ids string
	for _, f := range got {
		ids += f.ID
		s.wantStored(f)
	}
	if ids != "ecabd" {
		t.Errorf("listed %q, want ecabd", ids)
	}
}

// Get and List set ReadAt by one clock, which advances between two calls. All factors of one call have the same time.
func testReadAt(t *testing.T, s *suite) {
	f := s.create(s.factor("a", "user"))
	f.ReadAt = time.Unix(1, 0) // ignored
	if err := s.Update(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	s.create(s.factor("b", "user"))
	began := time.Now()
	first, err := s.Get(t.Context(), s.app, "a")
	if err != nil || first.ReadAt.IsZero() {
		t.Fatalf("Get read at %s, %v", first.ReadAt, err)
	}
	time.Sleep(20 * time.Millisecond)
	listed, err := s.List(t.Context(), s.app, "user")
	if err != nil || len(listed) != 2 {
		t.Fatalf("listed %d, %v", len(listed), err)
	}
	took := time.Since(began)
	for _, l := range listed {
		if between := l.ReadAt.Sub(first.ReadAt); between < 15*time.Millisecond || between > took+10*time.Millisecond {
			t.Errorf("read %s after the first call, of %s in all", between, took)
		}
	}
}

func testPage(t *testing.T, s *suite) {
	pager, ok := s.Factors.(watchword.FactorPager)
	if !ok {
		t.Skip("this store has no pages")
	}
	want := []string{"B", "a", "b-1", "b.1", "b1", "ba", "c", "é"}
	for i := range want {
		s.create(s.factor(want[(i*3)%len(want)], fmt.Sprint("user", i%3)))
	}
	otherApp := *s
	otherApp.app += "-2"
	otherApp.create(otherApp.factor("bb", "user"))
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []string
		for after := ""; ; {
			page, err := pager.Page(t.Context(), s.app, after, limit)
			if err != nil || len(page) > limit {
				t.Fatalf("a page of %d has %d: %v", limit, len(page), err)
			}
			if len(page) == 0 {
				break
			}
			for _, f := range page {
				got = append(got, f.ID)
				s.wantStored(f)
			}
			after = page[len(page)-1].ID
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("pages of %d: %q, want %q", limit, got, want)
		}
	}
}
