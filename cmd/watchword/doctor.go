package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

// A finding is one thing that the doctor looked at.
type finding struct {
	what string
	err  error
}

func doctorCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "doctor",
		Short: "Look whether what the server needs is there and works",
		Long:  "Look whether what the server needs is there and works: the stores, their settings and their clocks, whether challenges can be kept and\ncounted there, and whether the keyring opens what is enrolled. It sends no message.",
	}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		h, err := buildOnly(cmd, s, false)
		if err != nil {
			return err
		}
		sick := false
		for _, f := range examine(ctx, h) {
			state := "ok"
			if f.err != nil {
				state, sick = "BAD "+f.err.Error(), true
			}
			cmd.Printf("%-28s %s\n", f.what, state)
		}
		if err := h.storage.close(); err != nil {
			return err
		}
		if sick {
			return errors.New("something is wrong")
		}
		return nil
	})
}

// maxSkew is how far the clocks of this machine and of the store may be apart: challenges expire by the store's, which
// the engine compares with its own.
const maxSkew = 2 * time.Second

// examine asks every part that can be out of reach.
func examine(ctx context.Context, h *house) []finding {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	found := []finding{{"configuration", nil}, {"store and its settings", h.storage.ready(ctx)}, {"clocks", clocks(ctx, h)}}
	for _, e := range h.engines {
		found = append(found, finding{fmt.Sprintf("app %q", e.App()), e.Ping(ctx)})
	}
	return found
}

func clocks(ctx context.Context, h *house) error {
	theirs, err := h.storage.clock(ctx)
	if err != nil {
		return err
	}
	if skew := time.Until(theirs).Abs(); skew > maxSkew {
		return fmt.Errorf("the store's clock is %s off this machine's", skew.Round(time.Second))
	}
	return nil
}
