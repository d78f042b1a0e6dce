package script

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/outbound"
)

const (
	lanesPerNode = 2    // round trips to one server at the same time
	maxBatch     = 64   // commands of a round trip
	maxWaiting   = 1024 // commands that wait for a lane of one server
)

// errNotSent marks errors of commands that were not sent.
var errNotSent = errors.New("not sent")

// errQueueFull means that a command found maxWaiting others waiting.
const errQueueFull outbound.Failure = "too many commands wait for the server"

// Lanes send scripts and GETs of concurrent callers together. Each server has two lanes, which is how many round trips to it are
// under way at the same time. A command that finds a free lane is sent at once and alone. Another one waits. When a lane becomes
// free, up to 64 commands that wait are sent as one pipeline. So an idle server costs no delay, and a busy one few system calls.
//
// Each command has its own reply and error. If a connection breaks, all commands of its pipeline fail whose replies have not
// been read, and none is sent again. A command whose context ends while it waits is not sent. Once it is sent, only its deadline
// ends it, because its caller must learn whether it took effect. At most 1,024 commands wait for a server; one more fails at once.
// A pipeline ends with the latest deadline of its commands or the client's timeouts, so a server that hangs delays the commands
// behind it no longer than its own callers. Commands wait in the order of their arrival, because each app has a client of its own.
//
// Other commands are sent alone and do not wait, because WAIT and reads that block would delay those behind them.
//
// go-redis' own AutoPipeliner (experimental in v9.23) does not serve here, because it sends commands without their contexts.
//
// Lanes are safe for concurrent use. They have no goroutine while they are idle, and need not be closed.
type Lanes struct {
	client redis.UniversalClient
	sent   func(commands int)
	timers timers

	mu     sync.Mutex
	queues map[*redis.Client]*queue // of the servers that are busy
}

// A queue holds what waits for the lanes of one server.
type queue struct {
	busy    int // lanes
	waiting []*waitingCommand
}

// A waitingCommand is a command that waits for a lane, and then for its reply.
type waitingCommand struct {
	ctx  context.Context
	cmd  redis.Cmder
	err  error         // valid when done is closed
	done chan struct{} // closed when the reply was received or the command failed
}

func (w *waitingCommand) finish(err error) {
	w.err = err
	close(w.done)
}

// NewLanes returns Lanes of a client, which the caller closes. sent is called with the number of commands of each round trip; it
// may be nil.
func NewLanes(client redis.UniversalClient, sent func(commands int)) *Lanes {
	if sent == nil {
		sent = func(int) {}
	}
	return &Lanes{client: client, sent: sent, queues: map[*redis.Client]*queue{}}
}

// Process implements Client. It ends at the deadline of a context of WithTimeout too. If it returns an error, the command may still be in use.
func (l *Lanes) Process(ctx context.Context, cmd redis.Cmder) error {
	node := l.nodeOf(ctx, cmd)
	if node == nil {
		return l.processAlone(ctx, cmd)
	}
	if err := ctx.Err(); err != nil {
		return notSent(err)
	}
	waiting, err := l.enter(ctx, node, cmd)
	if err != nil {
		return err
	}
	if waiting == nil {
		defer l.leave(node)
		l.sent(1)
		return l.processAlone(ctx, cmd)
	}
	err = l.await(node, waiting)
	if l.isRedirection(err) {
		return l.processAlone(ctx, cmd) // which follows it
	}
	return err
}

// processAlone sends a command by the client, which needs a context that ends at its deadline.
func (l *Lanes) processAlone(ctx context.Context, cmd redis.Cmder) error {
	ctx, cancel := timed(ctx)
	defer cancel()
	return l.client.Process(ctx, cmd)
}

// nodeOf returns the client of the server whose lanes a command uses, or nil if it uses none.
func (l *Lanes) nodeOf(ctx context.Context, cmd redis.Cmder) *redis.Client {
	own, ok := cmd.(noRetryCommand)
	if !ok || !isShort(own.Name()) {
		return nil
	}
	switch client := l.client.(type) {
	case *redis.Client:
		return client
	case *redis.ClusterClient:
		if own.key == "" {
			return nil
		}
		if node, err := client.MasterForKey(ctx, own.key); err == nil {
			return node
		}
	}
	return nil // the client's own Process returns the error
}

// isShort reports whether a command never blocks.
func isShort(name string) bool {
	switch name {
	case "evalsha", "eval", "get", "getrange":
		return true
	}
	return false
}

// enter takes a free lane and returns nil, or makes the command wait for one.
func (l *Lanes) enter(ctx context.Context, node *redis.Client, cmd redis.Cmder) (*waitingCommand, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queues[node]
	if q == nil {
		q = &queue{}
		l.queues[node] = q
	}
	switch {
	case q.busy < lanesPerNode:
		q.busy++
		return nil, nil
	case len(q.waiting) >= maxWaiting:
		return nil, notSent(errQueueFull)
	}
	w := &waitingCommand{ctx: ctx, cmd: cmd, done: make(chan struct{})}
	q.waiting = append(q.waiting, w)
	return w, nil
}

// leave gives a lane to the commands that wait.
func (l *Lanes) leave(node *redis.Client) {
	if batch := l.next(node); len(batch) > 0 {
		go l.run(node, batch)
	}
}

// next returns the next batch, or frees the lane if nothing waits.
func (l *Lanes) next(node *redis.Client) (batch []*waitingCommand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queues[node]
	taken := 0
	for taken < len(q.waiting) && len(batch) < maxBatch {
		w := q.waiting[taken]
		taken++
		if err := w.ctx.Err(); err != nil {
			w.finish(notSent(err))
			continue
		}
		batch = append(batch, w)
	}
	q.waiting = slices.Delete(q.waiting, 0, taken)
	if len(batch) == 0 {
		if q.busy--; q.busy == 0 {
			delete(l.queues, node)
		}
	}
	return batch
}

// run sends batches until nothing waits.
func (l *Lanes) run(node *redis.Client, batch []*waitingCommand) {
	for len(batch) > 0 {
		l.send(node, batch)
		batch = l.next(node)
	}
}

// send sends a batch as one pipeline. go-redis does not repeat it, because it holds commands that are not repeatable.
func (l *Lanes) send(node *redis.Client, batch []*waitingCommand) {
	l.sent(len(batch))
	ctx, cancel := context.WithDeadline(context.Background(), latestDeadline(batch))
	defer cancel()
	pipe := node.Pipeline()
	for _, w := range batch {
		_ = pipe.Process(ctx, w.cmd) // sends nothing yet
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	for _, w := range batch {
		w.finish(w.cmd.Err())
	}
}

// latestDeadline returns until when the last caller of a batch waits.
func latestDeadline(batch []*waitingCommand) (latest time.Time) {
	for _, w := range batch {
		until, ok := w.ctx.Deadline()
		if !ok {
			until = time.Now().Add(noLimit)
		}
		if until.After(latest) {
			latest = until
		}
	}
	return latest
}

// await waits for the reply of a command.
func (l *Lanes) await(node *redis.Client, w *waitingCommand) error {
	var deadline <-chan time.Time
	if timer := l.timers.start(w.ctx); timer != nil {
		defer l.timers.stop(timer)
		deadline = timer.C
	}
	select {
	case <-w.done:
		return w.err
	case <-w.ctx.Done():
	case <-deadline:
	}
	if l.remove(node, w) {
		return notSent(w.ctx.Err())
	}
	if errors.Is(w.ctx.Err(), context.Canceled) {
		<-w.done
	}
	select {
	case <-w.done:
		return w.err
	default:
		return w.ctx.Err()
	}
}

// remove removes a command that waits for a lane. It reports false if the command does not wait any more.
func (l *Lanes) remove(node *redis.Client, w *waitingCommand) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	q := l.queues[node]
	if q == nil {
		return false
	}
	i := slices.Index(q.waiting, w)
	if i < 0 {
		return false
	}
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

// isRedirection reports whether a node of a Cluster refused a command because another one serves its key, or because go-redis
// has closed the connections to that node.
func (l *Lanes) isRedirection(err error) bool {
	if _, cluster := l.client.(*redis.ClusterClient); !cluster || err == nil {
		return false
	}
	return redis.HasErrorPrefix(err, "MOVED") || redis.HasErrorPrefix(err, "ASK") || redis.HasErrorPrefix(err, "READONLY") || errors.Is(err, redis.ErrClosed)
}

func notSent(cause error) error { return fmt.Errorf("%w: %w", errNotSent, cause) }
