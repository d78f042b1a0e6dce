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

// Factors is a watchword.Factors in memory, for tests and trials: what subjects enrolled is lost with the process. The
// zero value is empty and ready; it is safe for concurrent use and must not be copied.
type Factors struct {
	Clock func() time.Time // default time.Now

	mu   sync.Mutex
	apps map[string]*appFactors
}

// appFactors is one app's factors.
type appFactors struct {
	factors  map[string]watchword.SealedFactor // by id
	subjects map[string][]string               // ids of a subject's factors, the oldest first
}

var (
	_ watchword.Factors     = (*Factors)(nil)
	_ watchword.FactorPager = (*Factors)(nil)
)

// appFactors is an app's shelf; f.mu must be held.
func (f *Factors) appFactors(app string) *appFactors {
	if f.apps == nil {
		f.apps = map[string]*appFactors{}
	}
	if f.apps[app] == nil {
		f.apps[app] = &appFactors{factors: map[string]watchword.SealedFactor{}, subjects: map[string][]string{}}
	}
	return f.apps[app]
}

// get reads a factor that the caller may change.
func (s *appFactors) get(id string) (watchword.SealedFactor, bool) {
	f, there := s.factors[id]
	f.Data = clone(f.Data)
	return f, there
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
	shelf := f.appFactors(s.App)
	if _, there := shelf.factors[s.ID]; there {
		return watchword.ErrExists
	}
	s.Version, s.Data = 1, clone(s.Data)
	shelf.factors[s.ID] = s
	ids := append(shelf.subjects[s.Subject], s.ID)
	slices.SortFunc(ids, func(a, b string) int {
		return cmp.Or(shelf.factors[a].CreatedAt.Compare(shelf.factors[b].CreatedAt), cmp.Compare(a, b))
	})
	shelf.subjects[s.Subject] = ids
	return nil
}

// Get implements watchword.Factors.
func (f *Factors) Get(_ context.Context, app, id string) (watchword.SealedFactor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, there := f.appFactors(app).get(id)
	if !there {
		return watchword.SealedFactor{}, watchword.ErrNotFound
	}
	s.ReadAt = f.now()
	return s, nil
}

// List implements watchword.Factors.
func (f *Factors) List(_ context.Context, app, subject string) (found []watchword.SealedFactor, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	shelf := f.appFactors(app)
	now := f.now()
	for _, id := range shelf.subjects[subject] {
		s, _ := shelf.get(id)
		s.ReadAt = now
		found = append(found, s)
	}
	return found, nil
}

// Page implements watchword.FactorPager.
func (f *Factors) Page(_ context.Context, app, after string, limit int) (found []watchword.SealedFactor, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	shelf := f.appFactors(app)
	for _, id := range slices.Sorted(maps.Keys(shelf.factors)) {
		if id > after && len(found) < limit {
			s, _ := shelf.get(id)
			found = append(found, s)
		}
	}
	return found, nil
}

// Update implements watchword.Factors. Only Data changes; whose factor it is stays as it was created.
func (f *Factors) Update(_ context.Context, s watchword.SealedFactor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	shelf := f.appFactors(s.App)
	stored, there := shelf.factors[s.ID]
	switch {
	case !there:
		return watchword.ErrNotFound
	case stored.Version != s.Version:
		return watchword.ErrConflict
	}
	stored.Data = clone(s.Data)
	stored.Version++
	shelf.factors[s.ID] = stored
	return nil
}

// Delete implements watchword.Factors.
func (f *Factors) Delete(_ context.Context, app, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	shelf := f.appFactors(app)
	s, there := shelf.factors[id]
	if !there {
		return watchword.ErrNotFound
	}
	delete(shelf.factors, id)
	left := slices.DeleteFunc(shelf.subjects[s.Subject], func(other string) bool { return other == id })
	if shelf.subjects[s.Subject] = left; len(left) == 0 {
		delete(shelf.subjects, s.Subject)
	}
	return nil
}
