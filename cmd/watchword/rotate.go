package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchword-auth/watchword"
)

// longestKeyUse is how long a challenge needs the key under which it was encrypted: ten minutes until it expires, and another
// fifteen during which it can be read.
const longestKeyUse = 25 * time.Minute

func rotateCommand() *cobra.Command {
	return withCheckedConfig(&cobra.Command{
		Use:   "rotate",
		Short: "Encrypt all factors again under the active key",
		Long: "Encrypt all factors again under the active key, the first of the keyring, so that older keys can be removed. Servers keep\n" +
			"running meanwhile. You can interrupt it and run it again. docs/operating.md has the steps before and after.",
	}, checker{rotating: true}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		if s.database.IsZero() {
			return errors.New("no database is configured (--database, WATCHWORD_DATABASE_URL, or database in the file), so nothing is enrolled and nothing is to be encrypted again")
		}
		svc, err := buildWithoutServing(cmd, s, false)
		if err != nil {
			return err
		}
		return errors.Join(rotate(ctx, cmd, svc.engines, s.keys), svc.storage.close())
	})
}

// rotate encrypts the factors of each app again, and prints which keys can be removed.
func rotate(ctx context.Context, cmd *cobra.Command, engines []*watchword.Engine, ring []watchword.Key) error {
	for _, e := range engines {
		printed := false
		err := e.Reseal(ctx, func(read, encrypted int) {
			printed = true
			cmd.Printf("app %s: %d factors read, %d encrypted again\n", e.App(), read, encrypted)
		})
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("app %s: interrupted; run it again for the remaining factors", e.App())
		case err != nil:
			return fmt.Errorf("app %s: %w; run it again for the remaining factors", e.App(), err)
		case !printed:
			cmd.Printf("app %s: nothing is enrolled\n", e.App())
		}
	}
	cmd.Println(describeRemovableKeys(ring))
	return nil
}

// describeRemovableKeys returns a message about the keys that can be removed from the keyring, and when.
func describeRemovableKeys(ring []watchword.Key) string {
	first := strconv.Quote(ring[0].ID)
	if len(ring) == 1 {
		return "All factors are encrypted under " + first + ", the only key of the keyring."
	}
	var older []string
	for _, k := range ring[1:] {
		older = append(older, strconv.Quote(k.ID))
	}
	return fmt.Sprintf("All factors are encrypted under %s.\n"+
		"You can remove %s from the keyring %.0f minutes after the last server started with %s as its active key: no challenge needs\n"+
		"an older key then. If a server started with it only after this command did, run the command again first.",
		first, strings.Join(older, ", "), longestKeyUse.Minutes(), first)
}
