package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/watchword-auth/watchword"
)

func eventsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "events",
		Short: "List and replay events that endpoints have not accepted",
	}
	cmd.AddCommand(eventsListCommand(), eventsReplayCommand())
	return cmd
}

func eventsListCommand() *cobra.Command {
	var app string
	var limit int
	cmd := withConfig(&cobra.Command{
		Use:   "list",
		Short: "List the events that wait, and those that failed for good",
		Long: "List the events that wait on Redis for each endpoint, those that are tried next first, and those that failed for good, the latest\n" +
			"first. An event failed for good if the endpoint refused it, or did not accept it within three days.",
	}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		if limit < 1 {
			return errors.New("--limit must be positive")
		}
		return withStoredEvents(cmd, s, app, func(q endpointEvents) error { return q.list(ctx, cmd, limit) })
	})
	cmd.Flags().StringVar(&app, "app", "", "only the app with this `id`")
	cmd.Flags().IntVar(&limit, "limit", 20, "the greatest `number` of events of each kind to list for an endpoint")
	return cmd
}

func eventsReplayCommand() *cobra.Command {
	var app string
	var which replaySelection
	var since, until string
	cmd := withConfig(&cobra.Command{
		Use:   "replay",
		Short: "Send events again that failed for good",
		Long: "Send events again that failed for good, with the ids that they had: those with --event, those of a time with --since and --until, or\n" +
			"all with --all. The running servers send them, and retry for three days.",
	}, func(ctx context.Context, cmd *cobra.Command, s settings) error {
		if err := which.parse(since, until); err != nil {
			return err
		}
		err := withStoredEvents(cmd, s, app, func(q endpointEvents) error { return q.replay(ctx, cmd, &which) })
		return errors.Join(err, which.missing())
	})
	cmd.Flags().StringVar(&app, "app", "", "only the app with this `id`")
	cmd.Flags().StringArrayVar(&which.ids, "event", nil, "the `id` of an event; may be repeated")
	cmd.Flags().StringVar(&since, "since", "", "events from this `time` on, such as 2026-08-01T10:00:00Z")
	cmd.Flags().StringVar(&until, "until", "", "events before this `time`")
	cmd.Flags().BoolVar(&which.all, "all", false, "all events that failed for good")
	return cmd
}

// endpointEvents are the events of one endpoint that are stored.
type endpointEvents struct {
	name   string // for people
	id     string // in the queue
	off    bool   // the endpoint answered 410
	stored *storedEvents
	sealer *watchword.EventSealer
}

// withStoredEvents calls do for each endpoint of an app, or of all apps.
func withStoredEvents(cmd *cobra.Command, s settings, app string, do func(endpointEvents) error) (err error) {
	if s.redis.Reveal() == memoryURL {
		return errors.New(`events wait in the memory of the server, because the configuration has redis: "memory:"; there is nothing to list or replay`)
	}
	svc, err := buildWithoutServing(cmd, s, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, svc.storage.close()) }()
	found := false
	for _, a := range svc.built {
		if app != "" && a.settings.id != app {
			continue
		}
		found = true
		if err := a.withEndpointEvents(cmd.Context(), svc, s, do); err != nil {
			return fmt.Errorf("app %s: %w", a.settings.id, err)
		}
		if len(a.publisher.Endpoints()) == 0 {
			cmd.Printf("app %s: no endpoints\n", a.settings.id)
		}
	}
	if !found {
		return fmt.Errorf("no app has the id %q", app)
	}
	return nil
}

func (a builtApp) withEndpointEvents(ctx context.Context, svc *service, s settings, do func(endpointEvents) error) error {
	sealer, err := watchword.NewEventSealer(s.identity, a.settings.id)
	if err != nil {
		return err
	}
	off, err := a.publisher.TurnedOff(ctx)
	if err != nil {
		return err
	}
	for i, endpoint := range a.publisher.Endpoints() {
		q := endpointEvents{name: fmt.Sprintf("app %s events[%d] %s", a.settings.id, endpoint.Number, endpoint.Host), id: endpoint.ID, off: off[i],
			stored: svc.storage.apps[a.settings.id].events, sealer: sealer}
		if err := do(q); err != nil {
			return err
		}
	}
	return nil
}

// list prints how many events there are, and the first ones.
func (q endpointEvents) list(ctx context.Context, cmd *cobra.Command, limit int) error {
	waiting, dead, err := q.stored.Counts(ctx, q.id)
	if err != nil {
		return err
	}
	note := ""
	if q.off {
		note = "; the endpoint answered 410 and is off until its URL or its types change"
	}
	cmd.Printf("%s: %d waiting, %d failed for good%s\n", q.name, waiting, dead, note)
	next, err := q.stored.Waiting(ctx, q.id, limit)
	if err != nil {
		return err
	}
	for _, one := range next {
		when := "now"
		if !one.Due.IsZero() {
			when = one.Due.Format(time.RFC3339)
		}
		q.print(cmd, "waiting", one, fmt.Sprintf("tries: %d, next %s", one.Attempt, when))
	}
	failed, err := q.stored.DeadLetters(ctx, q.id)
	if err != nil {
		return err
	}
	for _, one := range failed[:min(limit, len(failed))] {
		q.print(cmd, "failed", one, fmt.Sprintf("tries: %d", one.Attempt+1))
	}
	return nil
}

// print prints a line about an event. Elements that watchword has not written are left out, as servers do.
func (q endpointEvents) print(cmd *cobra.Command, state string, one watchword.QueuedEvent, note string) {
	if info, err := describeEvent(q.sealer, q.id, one); err == nil {
		cmd.Printf("  %-8s %s  %-22s %s  %s\n", state, info.ID, info.Type, info.At.Format(time.RFC3339), note)
	}
}

// replay queues the selected dead letters again.
func (q endpointEvents) replay(ctx context.Context, cmd *cobra.Command, which *replaySelection) error {
	dead, err := q.stored.DeadLetters(ctx, q.id)
	if err != nil {
		return err
	}
	replayed := 0
	slices.Reverse(dead) // the oldest first
	for _, one := range dead {
		info, err := describeEvent(q.sealer, q.id, one)
		if err != nil || !which.includes(info.ID, info.At) {
			continue
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: interrupted after %d events; run it again for the others", q.name, replayed)
		}
		if err := q.stored.Replay(ctx, q.id, one); isReplayedMeanwhile(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("%s: after %d events: %w", q.name, replayed, err)
		}
		replayed++
		if replayed%100 == 0 {
			cmd.Printf("%s: %d events so far\n", q.name, replayed)
		}
	}
	cmd.Printf("%s: %d of %d failed events are sent again\n", q.name, replayed, len(dead))
	if q.off && replayed > 0 {
		cmd.Printf("%s: the endpoint answered 410 and is off; they are sent when its URL or its types change\n", q.name)
	}
	return nil
}

// A replaySelection selects events to be sent again.
type replaySelection struct {
	ids          []string
	all          bool
	since, until time.Time
	found        []string // of ids
}

func (r *replaySelection) parse(since, until string) error {
	byTime := since != "" || until != ""
	ways := 0
	for _, used := range []bool{len(r.ids) > 0, byTime, r.all} {
		if used {
			ways++
		}
	}
	if ways != 1 {
		return errors.New("name the events in one way: --event ID, --since TIME and --until TIME, or --all")
	}
	for _, one := range []struct {
		name, text string
		to         *time.Time
	}{{"--since", since, &r.since}, {"--until", until, &r.until}} {
		if one.text == "" {
			continue
		}
		at, err := time.Parse(time.RFC3339, one.text)
		if err != nil {
			return fmt.Errorf("%s is no time such as 2026-08-01T10:00:00Z", one.name)
		}
		*one.to = at
	}
	return nil
}

// includes reports whether an event is selected.
func (r *replaySelection) includes(id string, at time.Time) bool {
	if len(r.ids) > 0 {
		selected := slices.Contains(r.ids, id)
		if selected {
			r.found = append(r.found, id)
		}
		return selected
	}
	return !at.Before(r.since) && (r.until.IsZero() || at.Before(r.until))
}

// missing returns an error that names the ids that no failed event has.
func (r *replaySelection) missing() error {
	var problems []error
	for _, id := range r.ids {
		if !slices.Contains(r.found, id) {
			problems = append(problems, fmt.Errorf("no event that failed for good has the id %q", id))
		}
	}
	return errors.Join(problems...)
}
