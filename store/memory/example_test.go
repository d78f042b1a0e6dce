package memory_test

import (
	"context"
	"fmt"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// An entry is answered once. Digests are keyed by the engine.
func ExampleStore() {
	ctx := context.Background()
	store := memory.New(memory.Config{})
	_ = store.Create(ctx, watchword.Entry{ID: "group.challenge", Tries: 2, Digests: [][]byte{digest("492039")},
		ExpiresAt: time.Now().Add(10 * time.Minute), KeepUntil: time.Now().Add(25 * time.Minute)})

	for _, code := range []string{"111111", "492039", "492039"} {
		e, err := store.Attempt(ctx, "group.challenge", guess(code), watchword.Budget{})
		fmt.Println(e.State == watchword.StateApproved, e.Tries, err)
	}
	// Output:
	// false 1 watchword: wrong answer
	// true 0 <nil>
	// true 0 watchword: closed already
}
