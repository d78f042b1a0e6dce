package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

func forgetCommand() *cobra.Command {
	var key string
	cmd := withCheckedConfig(&cobra.Command{
		Use:   "forget",
		Short: "Remove the factors that are encrypted under a lost key",
		Long: "Remove the factors that are encrypted under a lost key, so that servers start without it and people can enrol again. Without\n" +
			"the key nobody can decrypt them. People who have no other factor then enrol without a proof. Try to find the key first;\n" +
			"docs/operating.md has the steps.",
	}, checker{rotating: true}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		switch {
		case key == "":
			return errors.New("--key is missing: the id of the lost key")
		case s.database.IsZero():
			return errors.New("no database is configured, so nothing is enrolled")
		}
		svc, err := buildWithoutServing(cmd, s, false)
		if err != nil {
			return err
		}
		for _, e := range svc.engines {
			removed, errForget := e.ForgetKey(ctx, key)
			if err = errForget; err != nil {
				err = fmt.Errorf("app %s: %w", e.App(), err)
				break
			}
			cmd.Printf("app %s: %d factors removed\n", e.App(), removed)
		}
		return errors.Join(err, svc.storage.close())
	})
	cmd.Flags().StringVar(&key, "key", "", "the `id` of the lost key")
	return cmd
}
