package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

func doctorCommand() *cobra.Command {
	return withConfig(&cobra.Command{
		Use:   "doctor",
		Short: "Check that the server's stores work",
		Long: "Check that the server's stores work: their settings, their rights and their clocks, that challenges and limits can be\n" +
			"written and deleted, and that the keyring has every key that factors are encrypted under. It also prints how mail servers\n" +
			"are spoken to. No message is sent.",
	}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		svc, err := buildWithoutServing(cmd, s, false)
		if err != nil {
			return err
		}
		failed := false
		for _, r := range runChecks(ctx, svc) {
			outcome := "ok"
			if r.err != nil {
				outcome, failed = "BAD "+r.err.Error(), true
			}
			cmd.Printf("%-28s %s\n", r.name, outcome)
		}
		for _, sender := range svc.senders {
			cmd.Printf("%-28s %s\n", sender.path, sender.settings)
		}
		if err := svc.storage.close(); err != nil {
			return err
		}
		if failed {
			return errors.New("a check failed")
		}
		return nil
	})
}

// A checkResult is the outcome of one check of the doctor; without an error it passed.
type checkResult struct {
	name string
	err  error
}

// runChecks checks the stores, first what apps share and then each app.
func runChecks(ctx context.Context, svc *service) []checkResult {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	results := []checkResult{{"configuration", nil}, {"store and its settings", svc.storage.checkReady(ctx)}, {"clocks", compareClocks(ctx, svc)}}
	for _, e := range svc.engines {
		results = append(results, checkResult{fmt.Sprintf("app %q", e.App()), e.Ping(ctx)})
	}
	return results
}

// maxSkew is how far the clocks of this machine and of the store may differ: challenges expire by the store's clock, which the
// engine compares with its own.
const maxSkew = 2 * time.Second

func compareClocks(ctx context.Context, svc *service) error {
	storeTime, err := svc.storage.clock(ctx)
	if err != nil {
		return err
	}
	if skew := time.Until(storeTime).Abs(); skew > maxSkew {
		return fmt.Errorf("the store's clock is %s off this machine's", skew.Round(time.Second))
	}
	return nil
}
