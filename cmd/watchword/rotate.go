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

// longestEntry is how long anything that is open may need the key that it was made with: a challenge's ten minutes and the
// fifteen for which it can be read afterwards.
const longestEntry = 25 * time.Minute

func rotateCommand() *cobra.Command {
	return withChecked(&cobra.Command{
		Use:   "rotate",
		Short: "Seal what is enrolled under the first key of the keyring",
		Long: "Seal what is enrolled under the first key of the keyring, so that an older one can leave it. Servers go on meanwhile.\n" +
			"It may be interrupted and run again. docs/operating.md has the steps before and after.",
	}, checker{rotating: true}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		if s.database.IsZero() {
			return errors.New("no database is configured (--database, WATCHWORD_DATABASE_URL, or database in the file), so nothing is enrolled and nothing needs to be sealed again")
		}
		h, err := buildOnly(cmd, s, false)
		if err != nil {
			return err
		}
		return errors.Join(rotate(ctx, cmd, h.engines, s.keys), h.storage.close())
	})
}

// rotate seals one app after the other again, and says what that allows.
func rotate(ctx context.Context, cmd *cobra.Command, engines []*watchword.Engine, ring []watchword.Key) error {
	for _, e := range engines {
		told := false
		err := e.Reseal(ctx, func(seen, resealed int) {
			told = true
			cmd.Printf("app %s: %d seen, %d sealed again\n", e.App(), seen, resealed)
		})
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("app %s: interrupted; what is sealed again stays so, run it again for the rest", e.App())
		case err != nil:
			return fmt.Errorf("app %s: %w; what is sealed again stays so, run it again for the rest", e.App(), err)
		case !told:
			cmd.Printf("app %s: nothing is enrolled\n", e.App())
		}
	}
	cmd.Println(whatMayLeave(ring))
	return nil
}

// whatMayLeave says which keys nothing needs any more, and from when on.
func whatMayLeave(ring []watchword.Key) string {
	first := strconv.Quote(ring[0].ID)
	if len(ring) == 1 {
		return "Everything is sealed under " + first + ", the only key of the ring."
	}
	var older []string
	for _, k := range ring[1:] {
		older = append(older, strconv.Quote(k.ID))
	}
	return fmt.Sprintf("Everything is sealed under %s now. If every server had %s first before this began (otherwise run it again when they have),\n"+
		"%s may leave the ring %.0f minutes after the last of them got it: the longest challenge that was made before is over then.",
		first, first, strings.Join(older, ", "), longestEntry.Minutes())
}
