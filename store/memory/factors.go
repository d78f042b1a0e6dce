package memory

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/watchword-auth/watchword"
)

// Factors is a watchword.Factors in memory, for tests and trials: what subjects enrolled is lost with the process. The
// zero value is empty and ready; it is safe for concurrent use and must not be copied.
type Factors struct {
	mu   sync.Mutex
	apps map[string]map[string]watchword.SealedFactor // by app and id
}

var _ watchword.Factors = (*Factors)(nil)

// Create implements watchword.Factors.
func (f *Factors) Create(_ context.Context, s watchword.SealedFactor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.apps[s.App][s.ID]; there {
		return watchword.ErrExists
	}
	if f.apps == nil {
		f.apps = map[string]map[string]watchword.SealedFactor{}
	}
	if f.apps[s.App] == nil {
		f.apps[s.App] = map[string]watchword.SealedFactor{}
	}
	s.Version, s.Data = 1, clone(s.Data)
	f.apps[s.App][s.ID] = s
	return nil
}

// Get implements watchword.Factors.
func (f *Factors) Get(_ context.Context, app, id string) (watchword.SealedFactor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s, there := f.apps[app][id]
	if !there {
		return watchword.SealedFactor{}, watchword.ErrNotFound
	}
	s.Data = clone(s.Data)
	return s, nil
}

// List implements watchword.Factors.
func (f *Factors) List(_ context.Context, app, subject string) ([]watchword.SealedFactor, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var found []watchword.SealedFactor
	for _, s := range f.apps[app] {
		if s.Subject == subject {
			s.Data = clone(s.Data)
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b watchword.SealedFactor) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return found, nil
}

// Update implements watchword.Factors. Only Data changes; whose factor it is stays as it was created.
func (f *Factors) Update(_ context.Context, s watchword.SealedFactor) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	stored, there := f.apps[s.App][s.ID]
	switch {
	case !there:
		return watchword.ErrNotFound
	case stored.Version != s.Version:
		return watchword.ErrConflict
	}
	stored.Data = clone(s.Data)
	stored.Version++
	f.apps[s.App][s.ID] = stored
	return nil
}

// Delete implements watchword.Factors.
func (f *Factors) Delete(_ context.Context, app, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.apps[app][id]; !there {
		return watchword.ErrNotFound
	}
	delete(f.apps[app], id)
	return nil
}
