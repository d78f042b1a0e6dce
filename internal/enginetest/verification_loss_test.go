package enginetest_test

import (
	"context"
	"testing"

	"github.com/watchword-auth/watchword"
)

// The store loses a verification whose receipt was collected, and nothing else. A start with the same seed makes one with the same
// id, on a node that has nothing in memory. The answer of the lost one is worth nothing there.
func TestLostVerificationThatIsStartedAgainGivesNoSecondReceipt(t *testing.T) {
	ctx := context.Background()
	k := newVerificationKit(t)
	spy := &recordingStore{Store: k.store.Store}
	k.store.Store = spy
	req := verificationOf(smsMethod, mailMethod)
	req.Seed = []byte("one")
	v := k.startVerification(req)
	code := k.code(k.open(v.ID, "m1"))
	if _, err := k.checkMethod(v.ID, "", code); err != nil {
		t.Fatal(err)
	}
	k.store.Store = &forgetfulStore{Store: spy.Store, id: spy.created[0].ID}
	k = k.sibling()
	again := k.startVerification(req)
	if again.ID != v.ID {
		t.Fatalf("started %s and %s", v.ID, again.ID)
	}
	if _, err := k.OpenMethod(ctx, again.ID, "m1"); err != nil {
		t.Errorf("open: %v", err)
	}
	for _, started := range []*watchword.StartedVerification{v, again} {
		if r, err := k.redeem(started); err == nil {
			t.Errorf("a second receipt: %+v", r.Claims)
		}
	}
}

// A forgetfulStore has lost an entry. It keeps what is created in its place.
type forgetfulStore struct {
	watchword.Store
	id      string
	created *watchword.Entry
}

func (s *forgetfulStore) Get(ctx context.Context, id string) (watchword.Entry, error) {
	switch {
	case id != s.id:
		return s.Store.Get(ctx, id)
	case s.created == nil:
		return watchword.Entry{}, watchword.ErrNotFound
	}
	return *s.created, nil
}

func (s *forgetfulStore) Create(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if e.ID != s.id {
		return s.Store.Create(ctx, e, out...)
	}
	s.created = &e
	return nil
}

func (s *forgetfulStore) Update(ctx context.Context, e watchword.Entry, out ...watchword.Outgoing) error {
	if e.ID != s.id {
		return s.Store.Update(ctx, e, out...)
	}
	s.created.Sealed = e.Sealed
	s.created.Version++
	return nil
}
