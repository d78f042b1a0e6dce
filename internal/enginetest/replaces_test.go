package enginetest_test

import (
	"context"
	"testing"

	"github.com/watchword-auth/watchword"
)

// An engine that replaces another knows which challenges ended there, also where the store has lost it. An engine of another process
// does not.
func TestEngineThatReplacesAnotherKnowsWhatEndedThere(t *testing.T) {
	ctx := context.Background()
	k := newKit(t)
	entryID, s := k.entryID(func() *watchword.Started { return k.start(startByEmail()) })
	before, err := k.store.Store.Get(ctx, entryID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Cancel(ctx, s.ID); err != nil {
		t.Fatal(err)
	}
	k.store.replaceEntry(entryID, func(watchword.Entry) watchword.Entry { return before })
	for want, e := range map[watchword.Status]*watchword.Engine{
		watchword.Canceled: k.newNode(func(c *watchword.Config) { c.Replaces = k.Engine }),
		watchword.Pending:  k.newNode(),
	} {
		if v, err := e.Status(ctx, s.ID); err != nil || v.Status != want {
			t.Errorf("the status is %s (%v), want %s", v.Status, err, want)
		}
	}
}
