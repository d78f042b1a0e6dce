package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func forgetCommand() *cobra.Command {
	var key string
	cmd := withChecked(&cobra.Command{
		Use:   "forget",
		Short: "Remove what is enrolled under a key that is lost",
		Long: "Remove what is enrolled under a key that is lost, so that servers start without it and people can enrol again. Nobody can\n" +
			"open it any more. Whoever has nothing else enrolled then enrols without a proof. Prefer to find the key: docs/operating.md.",
	}, checker{rotating: true}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		switch {
		case key == "":
			return errors.New("--key is missing: the id of the key that is lost")
		case s.database.IsZero():
			return errors.New("no database is configured, so nothing is enrolled")
		}
		h, err := buildOnly(cmd, s, false)
		if err != nil {
			return err
		}
		for _, e := range h.engines {
			removed, errForget := e.ForgetKey(ctx, key)
			if err = errForget; err != nil {
				err = fmt.Errorf("app %s: %w", e.App(), err)
				break
			}
			cmd.Printf("app %s: %d factors removed\n", e.App(), removed)
		}
		return errors.Join(err, h.storage.close())
	})
	cmd.Flags().StringVar(&key, "key", "", "the `id` of the key in the keyring")
	return cmd
}
