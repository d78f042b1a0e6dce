package memory_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

func factor(app, subject, id string, age time.Duration) watchword.SealedFactor {
	return watchword.SealedFactor{ID: id, App: app, Subject: subject, Strategy: "totp", CreatedAt: time.Unix(1_800_000_000, 0).Add(-age), Data: []byte("sealed " + id)}
}

func TestFactors(t *testing.T) {
	ctx := t.Context()
	var f memory.Factors
	if found, err := f.List(ctx, "app", "ann"); err != nil || len(found) != 0 {
		t.Errorf("a subject without factors: %v, %v", found, err)
	}
	for _, s := range []watchword.SealedFactor{factor("app", "ann", "new", 0), factor("app", "ann", "old", time.Hour), factor("app", "bob", "bob's", 0), factor("other", "ann", "old", 0)} {
		if err := f.Create(ctx, s); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Create(ctx, factor("app", "bob", "old", 0)); !errors.Is(err, watchword.ErrExists) {
		t.Errorf("an id that is taken: %v", err)
	}
	found, err := f.List(ctx, "app", "ann")
	if err != nil || len(found) != 2 || found[0].ID != "old" || found[1].ID != "new" {
		t.Errorf("ann's, the oldest first: %v, %v", found, err)
	}
	got, err := f.Get(ctx, "app", "old")
	if err != nil || got.Version != 1 || string(got.Data) != "sealed old" || got.Subject != "ann" {
		t.Errorf("Get: %+v, %v", got, err)
	}
	got.Data[0], got.Subject = 'X', "eve" // neither reaches the store
	got.Data = []byte("second")
	if err := f.Update(ctx, got); err != nil {
		t.Error(err)
	}
	if err := f.Update(ctx, got); !errors.Is(err, watchword.ErrConflict) {
		t.Errorf("a stale update: %v", err)
	}
	if now, err := f.Get(ctx, "app", "old"); err != nil || now.Version != 2 || string(now.Data) != "second" || now.Subject != "ann" {
		t.Errorf("after the update: %+v, %v", now, err)
	}
	if err := f.Delete(ctx, "app", "old"); err != nil {
		t.Error(err)
	}
	_, gone := f.Get(ctx, "app", "old")
	for what, err := range map[string]error{"Get": gone, "Update": f.Update(ctx, got), "Delete": f.Delete(ctx, "app", "old"), "Delete of another app's": f.Delete(ctx, "none", "old")} {
		if !errors.Is(err, watchword.ErrNotFound) {
			t.Errorf("%s of what is gone: %v", what, err)
		}
	}
	if _, err := f.Get(ctx, "other", "old"); err != nil {
		t.Errorf("another app's factor of the same id went too: %v", err)
	}
}

func TestConcurrentUpdatesOfOneVersionHaveOneWinner(t *testing.T) {
	var f memory.Factors
	s := factor("app", "ann", "one", 0)
	if err := f.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	s.Version = 1
	var won atomic.Int64
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() {
			if f.Update(t.Context(), s) == nil {
				won.Add(1)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 100 updates of one version", won.Load())
	}
}
