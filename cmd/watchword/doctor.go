package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchword-auth/watchword"
)

// doctorTimeout bounds all checks together.
const doctorTimeout = 10 * time.Second

func doctorCommand() *cobra.Command {
	cmd := withConfig(&cobra.Command{
		Use:   "doctor",
		Short: "Check that everything works that the server needs",
		Long: "Check that everything works that the server needs: Redis and the database, with their settings, rights and clocks; that the\n" +
			"keyring has every key that factors are encrypted under; that senders accept the login, and event endpoints a\n" +
			"connection; what DNS says about the domain of mail; and that the server answers at its public URL. No message is sent,\n" +
			"unless --send-test names an address.",
	}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		svc, err := buildWithoutServing(cmd, s, false)
		if err != nil {
			return err
		}
		results := runChecks(ctx, svc)
		if address, _ := cmd.Flags().GetString("send-test"); address != "" {
			results = append(results, sendTestMessages(ctx, svc, address)...)
		}
		for _, r := range results {
			cmd.Printf("%-28s %s\n", r.name, r.outcome())
		}
		for _, sender := range svc.senders {
			cmd.Printf("%-28s %s\n", sender.path, sender.settings)
		}
		if err := svc.storage.close(); err != nil {
			return err
		}
		if slices.ContainsFunc(results, func(r checkResult) bool { return r.err != nil }) {
			return errors.New("a check failed")
		}
		return nil
	})
	cmd.Flags().String("send-test", "", "send a test message to this `address` with every sender that fits")
	return cmd
}

// A checkResult is the outcome of one check of the doctor: it passed, with a note or a warning that may be empty, or it failed.
type checkResult struct {
	name          string
	note, warning string
	err           error
}

func (r checkResult) outcome() string {
	switch {
	case r.err != nil:
		return "BAD " + r.err.Error()
	case r.warning != "":
		return "WARN " + r.warning
	case r.note != "":
		return "ok: " + r.note
	}
	return "ok"
}

// A check returns one result or more.
type check func(ctx context.Context, svc *service) []checkResult

// runChecks runs all checks at the same time: first what apps share and then each app.
func runChecks(ctx context.Context, svc *service) []checkResult {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	checks := []check{checkRedis, checkDatabase, checkClocks, checkPublicURLs}
	for _, a := range svc.built {
		checks = append(checks, a.checkEngine, a.checkSenders, a.checkEvents)
	}
	results := make([][]checkResult, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { results[i] = c(ctx, svc) })
	}
	all.Wait()
	return append([]checkResult{{name: "configuration"}}, slices.Concat(results...)...)
}

func checkRedis(ctx context.Context, svc *service) []checkResult {
	results := []checkResult{{name: "redis", note: svc.storage.summary, err: svc.storage.checkReady(ctx)}}
	for _, warning := range svc.storage.warnings(ctx) {
		results = append(results, checkResult{name: "redis settings", warning: warning})
	}
	return results
}

func checkDatabase(ctx context.Context, svc *service) []checkResult {
	if svc.storage.factors == nil {
		return []checkResult{{name: "database", note: "none, so nothing can be enrolled"}}
	}
	result := checkResult{name: "database"}
	if p, ok := svc.storage.factors.(watchword.Pinger); ok {
		result.err = p.Ping(ctx)
	}
	db, ok := svc.storage.factors.(databaseInspector)
	if !ok || result.err != nil {
		return []checkResult{result}
	}
	found, err := db.Inspect(ctx)
	result.note, result.err = found.Summary, err
	results := []checkResult{result}
	for _, warning := range found.Warnings {
		results = append(results, checkResult{name: "database settings", warning: warning})
	}
	return results
}

// maxSkew is how far the clocks of this machine, of Redis and of the database may differ: challenges expire by Redis' clock,
// and steps of factors by the database's, which the engine compares with its own.
const maxSkew = 2 * time.Second

// checkClocks compares the clock of this machine with the others.
func checkClocks(ctx context.Context, svc *service) []checkResult {
	redis, err := svc.storage.clock(ctx)
	results := []checkResult{{name: "clock of redis", err: cmp.Or(err, compareClock(redis))}}
	if db, ok := svc.storage.factors.(databaseInspector); ok {
		found, err := db.Inspect(ctx)
		results = append(results, checkResult{name: "clock of the database", err: cmp.Or(err, compareClock(found.Time))})
	}
	return results
}

func compareClock(other time.Time) error {
	if skew := time.Until(other).Abs(); skew > maxSkew {
		return fmt.Errorf("is %s off this machine's", skew.Round(time.Second))
	}
	return nil
}

// checkEngine does what /readyz does, except for senders, which have lines of their own.
func (a builtApp) checkEngine(ctx context.Context, _ *service) []checkResult {
	result := checkResult{name: fmt.Sprintf("app %q", a.settings.id)}
	if err := a.engine.Ping(ctx); faultsOtherThan(err, partSending) {
		result.err = describeFaults(err)
	}
	return []checkResult{result}
}

// describeFaults returns the causes of a failed Ping in one line, without their introduction. Unlike /readyz, which anybody may ask, it
// names the key that is missing.
func describeFaults(err error) error {
	var failed *watchword.Error
	if !errors.As(err, &failed) || failed.Cause == nil {
		return err
	}
	return errors.New(strings.ReplaceAll(failed.Cause.Error(), "\n", "; "))
}

// faultsOtherThan reports whether a Ping failed for another part than the given one too.
func faultsOtherThan(err error, part string) bool {
	var failed *watchword.Error
	if !errors.As(err, &failed) {
		return err != nil
	}
	return len(failed.Faults) == 0 || slices.ContainsFunc(failed.Faults, func(f watchword.Fault) bool { return f.Part != part })
}
