package redis

import (
	"context"
	"errors"
	"sync"
)

// The apps of a probe's elements. No app can have these ids.
const (
	probeApp       = "!readiness"
	rightsProbeApp = "!rights"
)

// Ping implements watchword.Pinger. It does what Store.Ping does, and on every master it queues, claims and removes an element and
// executes every command of the outbox's scripts. It leaves a stream without entries.
func (o *Outbox) Ping(ctx context.Context) error {
	if err := o.Store.Ping(ctx); err != nil {
		return err
	}
	return o.probes.Run(ctx, o.probe)
}

func (o *Outbox) probe(ctx context.Context) error {
	groups, err := o.probeGroups(ctx)
	if err != nil {
		return wrapCheckError("ping", err)
	}
	failed := make([]error, len(groups))
	var all sync.WaitGroup
	for i, group := range groups {
		all.Go(func() { failed[i] = o.probePartition(ctx, o.partitionOf(group)) })
	}
	all.Wait()
	return errors.Join(failed...)
}

// probePartition removes what other probes have left too, so that there is never more than they have just queued.
func (o *Outbox) probePartition(ctx context.Context, partition int) error {
	keys := queueKeys(o.tags[partition], messageKeys, probeApp)
	if _, err := o.queue.run(ctx, "ping", o.put, keys[:2], 0, 0, 1, 0, "|0|0|"+probeGroupPrefix); err != nil {
		return err
	}
	claimed, err := o.runClaim(ctx, keys, probeGroupPrefix, claimQuestion{limit: 10})
	for _, one := range claimed.entries {
		if err == nil {
			_, err = o.queue.run(ctx, "ping", o.finish, keys[:2], one.id)
		}
	}
	if err != nil {
		return err
	}
	_, err = o.queue.run(ctx, "ping", o.rights, queueKeys(o.tags[partition], messageKeys, rightsProbeApp))
	return err
}
