package delivery

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

const (
	exchangeTimeout = 2 * time.Second // of one exchange
	flushTimeout    = 3 * time.Second // of the last exchange
)

// Run exchanges counts in the background until the context ends, and then once more. It returns an error if the last exchange
// failed, so counts are lost. Call Run only once.
func (b *PrefixBreaker) Run(ctx context.Context) error {
	ticker := time.NewTicker(exchangeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return b.flush(context.WithoutCancel(ctx))
		case <-ticker.C:
			b.exchangeAndLog(ctx)
		}
	}
}

// exchangeAndLog runs one exchange. It logs the first failure, and the first success after failures.
func (b *PrefixBreaker) exchangeAndLog(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, exchangeTimeout)
	defer cancel()
	err := b.Exchange(ctx)
	switch {
	case ctx.Err() == context.Canceled:
	case err != nil && !b.unavailable:
		b.cfg.Logger.Warn("prefix counters unavailable", "app", b.cfg.App, "error", err)
		b.unavailable = true
	case err == nil && b.unavailable:
		b.cfg.Logger.Info("prefix counters available again", "app", b.cfg.App)
		b.unavailable = false
	}
}

// flush exchanges the remaining counts. It retries until flushTimeout.
func (b *PrefixBreaker) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushTimeout)
	defer cancel()
	err := b.Exchange(ctx)
	for ; err != nil && sleep(ctx, exchangeInterval); err = b.Exchange(ctx) {
	}
	if err != nil {
		return fmt.Errorf("delivery: prefix counts of app %s lost: %w", b.cfg.App, err)
	}
	return nil
}

// Exchange adds the pending counts of this process to Counters, refuses prefixes by the sums of all processes, and loads the
// list of refused prefixes. A batch that got no reply is sent again with the same ID, so that it counts once. It is dropped when
// Counters may have forgotten the ID, so that it never counts twice. Run calls Exchange regularly.
func (b *PrefixBreaker) Exchange(ctx context.Context) error {
	b.exchanging.Lock()
	defer b.exchanging.Unlock()
	for b.nextBatch() {
		counts, err := b.cfg.Counters.Add(ctx, b.cfg.App, *b.batch)
		if err != nil {
			return err
		}
		sent := b.batch.Counts
		b.batch = nil
		if err := b.refuseUnverified(ctx, sent, counts); err != nil {
			return err
		}
	}
	return b.loadRefused(ctx)
}

// nextBatch sets b.batch and reports whether there is one to send: the batch that got no reply or else a new batch. A new
// batch holds the pending counts, and a zero count for each watched prefix that may have to be refused now.
func (b *PrefixBreaker) nextBatch() bool {
	now := b.cfg.Now()
	if b.batch != nil && now.Sub(b.batchCreated) < BatchIDLifetime/2 {
		return true
	}
	if b.batch != nil {
		b.cfg.Logger.Warn("prefix counts dropped", "app", b.cfg.App, "counts", len(b.batch.Counts))
	}
	oldest, last := b.evaluatedSlots()
	counts := b.takePending(oldest)
	for prefix, lastCounts := range b.watched {
		if len(counts) >= maxBatch {
			break
		}
		if _, _, tooFew := b.evaluate(lastCounts); tooFew {
			counts = append(counts, Count{Key: prefix, Slot: last})
			delete(b.watched, prefix)
		}
	}
	b.batch = nil
	if len(counts) > 0 {
		keep := b.cfg.Window + b.cfg.Settle + 2*b.slot
		b.batch, b.batchCreated = &Batch{ID: rand.Text(), Counts: counts, Oldest: oldest, Keep: keep}, now
	}
	return b.batch != nil
}

// takePending removes up to maxBatch pending counts and returns those that are not older than the window.
func (b *PrefixBreaker) takePending(oldest int64) (counts []Count) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, c := range b.pending {
		if len(counts) >= maxBatch {
			break
		}
		if delete(b.pending, key); key.slot >= oldest {
			counts = append(counts, c)
		}
	}
	return counts
}

// refuseUnverified refuses the prefixes of a batch with too few verified challenges. Prefixes with enough challenges are
// watched, because their challenges may be too recent to be evaluated now.
func (b *PrefixBreaker) refuseUnverified(ctx context.Context, batch, counts []Count) error {
	for _, c := range batch {
		delete(b.watched, c.Key)
	}
	byPrefix := map[string][]Count{}
	for _, c := range counts {
		byPrefix[c.Key] = append(byPrefix[c.Key], c)
	}
	for prefix, counts := range byPrefix {
		if sumSent(counts) >= int64(b.cfg.Sent) && len(b.watched) < MaxCounterKeys {
			b.watched[prefix] = counts
		}
	}
	for prefix, counts := range byPrefix {
		sent, verified, tooFew := b.evaluate(counts)
		if !tooFew {
			continue
		}
		if err := b.refusePrefix(ctx, prefix, sent, verified); err != nil {
			return err
		}
		delete(b.watched, prefix)
	}
	return nil
}

func sumSent(counts []Count) (sent int64) {
	for _, c := range counts {
		sent += c.Sent
	}
	return sent
}

// evaluate returns the sums of the window and whether too few challenges were verified. A refusal clears the counts of a
// prefix, so a slot may then have more verified than sent challenges; evaluate counts at most those sent.
func (b *PrefixBreaker) evaluate(counts []Count) (sent, verified int64, tooFew bool) {
	first, last := b.evaluatedSlots()
	for _, c := range counts {
		if c.Slot >= first && c.Slot <= last {
			sent, verified = sent+c.Sent, verified+min(c.Verified, c.Sent)
		}
	}
	return sent, verified, sent >= int64(b.cfg.Sent) && verified*100 < sent*int64(b.cfg.Percent)
}

// refusePrefix refuses a prefix in all processes. The process whose call is the first logs it.
func (b *PrefixBreaker) refusePrefix(ctx context.Context, prefix string, sent, verified int64) error {
	first, err := b.cfg.Counters.Refuse(ctx, b.cfg.App, prefix, b.cfg.Pause)
	if err != nil {
		return err
	}
	if first {
		b.cfg.Logger.Warn(b.refusal, "app", b.cfg.App, "prefix", prefix, "sent", sent, "verified", verified,
			"refused_for", b.cfg.Pause.String(), "shadow", b.cfg.Shadow)
	}
	return nil
}

// loadRefused replaces the list of refused prefixes by the one in Counters.
func (b *PrefixBreaker) loadRefused(ctx context.Context) error {
	refused, err := b.cfg.Counters.Refused(ctx, b.cfg.App)
	if err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.refused)
	for prefix, left := range refused {
		b.refused[prefix] = b.cfg.Now().Add(left)
	}
	return nil
}
