package sqlite_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/sql/sqlite"
)

// If two nodes have read the same version of a factor, only one can update it.
func ExampleOpen() {
	folder, _ := os.MkdirTemp("", "watchword")
	defer os.RemoveAll(folder)
	ctx := context.Background()
	factors, err := sqlite.Open(ctx, filepath.Join(folder, "watchword.db"))
	if err != nil {
		panic(err)
	}
	defer factors.Close()

	f := watchword.SealedFactor{ID: "fa_1", App: "shop", Subject: "user_42", Strategy: "totp", Version: 1, Data: []byte("sealed")}
	fmt.Println(factors.Create(ctx, f))
	fmt.Println(factors.Update(ctx, f))
	fmt.Println(factors.Update(ctx, f))
	// Output:
	// <nil>
	// <nil>
	// watchword: changed meanwhile
}
