package memory

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
)

// Factors implements watchword.Factors in memory, for tests and trials: all factors are lost when the process ends. The zero
// value is empty and ready to use. It is safe for concurrent use and must not be copied.
type Factors struct {
	Clock func() time.Time // default time.Now

	mu   sync.Mutex
	apps map[string]*appFactors
}

// appFactors holds the factors of one app.
type appFactors struct {
	factors  map[string]watchword.SealedFactor // by id
	subjects map[string][]string               // ids of each subject's factors, the oldest first
}

var (
	_ watchword.Factors     = (*Factors)(nil)
	_ watchword.FactorPager = (*Factors)(nil)
)

// factorsOf returns the factors of an app. f.mu must be held.
func (f *Factors) factorsOf(app string) *appFactors {
	if f.apps == nil {
		f.apps = map[string]*appFactors{}
	}
	if f.apps[app] == nil {
		f.apps[app] = &appFactors{factors: map[string]watchword.SealedFactor{}, subjects: map[string][]string{}}
	}
	return f.apps[app]
}

// get returns a copy of a factor.
func (s *appFactors) get(id string) (watchword.SealedFactor, bool) {
	f, found := s.factors[id]
	f.Data = clone(f.Data)
	return f, found
}

func (f *Factors) now() time.Time {
	if f.Clock != nil {
		return f.Clock()
	}
	return time.Now()
}

// Create implements watchword.Factors.
func (f *Factors) Create(_ context.Context, s watchword.SealedFactor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	owned := f.factorsOf(s.App)
	if _, found := owned.factors[s.ID]; found {
		return watchword.ErrExists
	}
	s.Version, s.Data = 1, clone(s.Data)
	owned.factors[s.ID] = s
	ids := append(owned.subjects[s.Subject], s.ID)
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(owned.factors[a].CreatedAt.Compare(owned.factors[b].CreatedAt), cmp.Compare(a, b))
	})
	owned.subjects[s.Subject] = ids
	return nil
}

// Get implements watchword.Factors.
func (f *Factors) Get(_ context.Context, app, id string) (watchword.SealedFactor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, found := f.factorsOf(app).get(id)
	if !found {
		return watchword.SealedFactor{}, watchword.ErrNotFound
	}
	s.ReadAt = f.now()
	return s, nil
}

// List implements watchword.Factors.
func (f *Factors) List(_ context.Context, app, subject string) (list []watchword.SealedFactor, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	owned := f.factorsOf(app)
	now := f.now()
	for _, id := range owned.subjects[subject] {
		s, _ := owned.get(id)
		s.ReadAt = now
		list = append(list, s)
	}
	return list, nil
}

// Page implements watchword.FactorPager.
func (f *Factors) Page(_ context.Context, app, after string, limit int) (list []watchword.SealedFactor, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	owned := f.factorsOf(app)
	for _, id := range slices.Sorted(maps.Keys(owned.factors)) {
		if id > after && len(list) < limit {
			s, _ := owned.get(id)
			list = append(list, s)
		}
	}
	return list, nil
}

// Update implements watchword.Factors. Only Data changes.
func (f *Factors) Update(_ context.Context, s watchword.SealedFactor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	owned := f.factorsOf(s.App)
	stored, found := owned.factors[s.ID]
	switch {
	case !found:
		return watchword.ErrNotFound
	case stored.Version != s.Version:
		return watchword.ErrConflict
	}
	stored.Data = clone(s.Data)
	stored.Version++
	owned.factors[s.ID] = stored
	return nil
}

// Delete implements watchword.Factors.
func (f *Factors) Delete(_ context.Context, app, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	owned := f.factorsOf(app)
	s, found := owned.factors[id]
	if !found {
		return watchword.ErrNotFound
	}
	delete(owned.factors, id)
	left := slices.DeleteFunc(owned.subjects[s.Subject], func(other string) bool { return other == id })
	if owned.subjects[s.Subject] = left; len(left) == 0 {
		delete(owned.subjects, s.Subject)
	}
	return nil
}
