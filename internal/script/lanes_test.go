package script_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/watchword-auth/watchword/internal/redistest"
	"github.com/watchword-auth/watchword/internal/script"
)

// patience is how long a test waits for a condition. It is long, so that a busy machine fails no test.
const patience = 2 * time.Minute

// roundTrips records how many commands share each round trip.
type roundTrips struct {
	mu    sync.Mutex
	sizes []int
}

func (r *roundTrips) note(commands int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sizes = append(r.sizes, commands)
}

// take returns the number of round trips, of their commands and of those in the largest one since the last call.
func (r *roundTrips) take() (trips, commands, largest int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.sizes {
		commands, largest = commands+n, max(largest, n)
	}
	trips, r.sizes = len(r.sizes), nil
	return trips, commands, largest
}

// await waits until as many round trips have begun.
func (r *roundTrips) await(t *testing.T, want int) {
	t.Helper()
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		r.mu.Lock()
		n := len(r.sizes)
		r.mu.Unlock()
		if n >= want {
			return
		}
		if time.Since(begin) > patience {
			t.Fatalf("%d round trips began, want %d", n, want)
		}
	}
}

// A laneFixture is a server behind a proxy, with lanes of a client that has go-redis' default retries.
type laneFixture struct {
	server *redistest.Server
	proxy  *redistest.Proxy
	client *redis.Client
	lanes  *script.Lanes
	trips  *roundTrips
}

func newLaneFixture(t *testing.T, readTimeout time.Duration) *laneFixture {
	t.Helper()
	f := &laneFixture{server: redistest.Start(t), trips: &roundTrips{}}
	f.proxy = redistest.StartProxy(t, f.server.Addr)
	f.client = redis.NewClient(&redis.Options{Addr: f.proxy.Addr, MaxRetries: 3, ReadTimeout: readTimeout, ContextTimeoutEnabled: true})
	t.Cleanup(func() { _ = f.client.Close() })
	f.lanes = script.NewLanes(f.client, f.trips.note)
	return f
}

// load runs a script once, so that the server knows it.
func (f *laneFixture) load(t *testing.T, scripts ...*script.Script) {
	t.Helper()
	for _, s := range scripts {
		if _, err := s.Run(t.Context(), f.client, []string{"loaded", "loaded"}); err != nil {
			t.Fatal(err)
		}
	}
	f.trips.take()
}

// connect makes connections, which a paused server would not complete.
func (f *laneFixture) connect(t *testing.T, n int) {
	t.Helper()
	for range n {
		conn := f.client.Conn()
		defer func() { _ = conn.Close() }()
		if err := conn.Ping(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// occupy makes all lanes busy with scripts of a paused server. The server continues when resume is called.
func (f *laneFixture) occupy(t *testing.T, all *sync.WaitGroup, s *script.Script) (resume func()) {
	t.Helper()
	f.connect(t, script.LanesPerNode)
	if err := f.server.Pause(); err != nil {
		t.Fatal(err)
	}
	f.trips.take()
	for i := range script.LanesPerNode {
		all.Go(func() { _, _ = s.Run(context.WithoutCancel(t.Context()), f.lanes, []string{fmt.Sprint("occupied", i)}) })
	}
	f.trips.await(t, script.LanesPerNode)
	f.trips.take()
	return func() {
		if err := f.server.Resume(); err != nil {
			t.Error(err)
		}
	}
}

func (f *laneFixture) get(t *testing.T, key string) int {
	t.Helper()
	n, err := f.server.Client(t).Get(t.Context(), key).Int()
	if err != nil && !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	return n
}

// A command that finds a free lane is sent alone, as without lanes.
func TestLanesSendSequentialCommandsAlone(t *testing.T) {
	f := newLaneFixture(t, patience)
	counter := script.New(count)
	for range 10 {
		if _, err := counter.Run(t.Context(), f.lanes, []string{"k"}); err != nil {
			t.Fatal(err)
		}
	}
	if trips, commands, largest := f.trips.take(); trips != 11 || commands != 11 || largest != 1 { // the first is sent twice
		t.Errorf("%d round trips with %d commands, the largest with %d", trips, commands, largest)
	}
}

// Random commands of many callers, on a slow network and with a server that forgets its scripts: each has its own reply or error.
func TestLanesReturnEachCommandItsOwnReply(t *testing.T) {
	f := newLaneFixture(t, patience)
	f.proxy.SetLag(time.Millisecond, time.Millisecond)
	direct := f.server.Client(t)
	echo := script.New(`return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}`)
	fails, nothing := script.New(`return redis.error_reply('ERR of ' .. ARGV[1])`), script.New(`return nil`)
	timed, clocks := script.NewTimed(`return ARGV[1]`), script.NewClocks(f.client)
	for i := range 100 {
		if err := direct.Set(t.Context(), fmt.Sprint("value", i), fmt.Sprint("of ", i), 0).Err(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(caller, n int, kind uint32) error {
		ctx, mine := t.Context(), fmt.Sprintf("%d.%d", caller, n)
		switch kind {
		case 0:
			got, err := script.Do(ctx, f.lanes, "get", fmt.Sprint("value", caller))
			if want := fmt.Sprint("of ", caller); err != nil || got != want {
				return fmt.Errorf("get: %v, %v, want %q", got, err, want)
			}
		case 1:
			if _, err := fails.Run(ctx, f.lanes, nil, mine); err == nil || err.Error() != "ERR of "+mine {
				return fmt.Errorf("an error: %v, want that of %s", err, mine)
			}
		case 2:
			if got, err := nothing.Run(ctx, f.lanes, []string{mine}); !errors.Is(err, redis.Nil) {
				return fmt.Errorf("nothing: %v, %v", got, err)
			}
		case 3:
			if got, err := timed.Run(ctx, clocks, f.lanes, []string{mine}, mine); err != nil || got != mine {
				return fmt.Errorf("a timed script: %v, %v, want %s", got, err, mine)
			}
		case 4:
			if caller == 0 { // all scripts are unknown again
				return direct.ScriptFlush(ctx).Err()
			}
		default:
			got, err := echo.Run(ctx, f.lanes, []string{"echo" + mine}, mine)
			if want := fmt.Sprintf("[echo%s %s 1]", mine, mine); err != nil || fmt.Sprint(got) != want {
				return fmt.Errorf("a script: %v, %v, want %s", got, err, want)
			}
		}
		return nil
	}
	var all sync.WaitGroup
	for caller := range 100 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(caller), 1))
			for n := range 40 {
				if err := check(caller, n, random.Uint32N(8)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	if trips, commands, largest := f.trips.take(); largest < 2 || largest > 64 || trips > commands/4 {
		t.Errorf("%d round trips with %d commands, the largest with %d", trips, commands, largest)
	}
}

// start calls a script from many callers, each with a key of its own, and waits until all of them wait for a lane.
func (f *laneFixture) start(t *testing.T, s *script.Script, callers int) (keys []string, errs []error, all *sync.WaitGroup) {
	t.Helper()
	keys, errs, all = make([]string, callers), make([]error, callers), &sync.WaitGroup{}
	ctx, waiting := context.WithoutCancel(t.Context()), f.lanes.Waiting()
	for i := range keys {
		keys[i] = fmt.Sprintf("key-%d", rand.Uint64())
		all.Go(func() { _, errs[i] = s.Run(ctx, f.lanes, []string{keys[i]}) })
	}
	f.awaitWaiting(t, waiting+callers)
	return keys, errs, all
}

func (f *laneFixture) awaitWaiting(t *testing.T, want int) {
	t.Helper()
	for begin := time.Now(); f.lanes.Waiting() != want; time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("%d commands wait, want %d", f.lanes.Waiting(), want)
		}
	}
}

// The connections of two pipelines break after the server has received them. Each command runs once, although the client repeats
// other commands, and each caller learns that its command may have run.
func TestCutConnectionsFailTheCommandsOfTheirPipelinesOnce(t *testing.T) {
	f, counter := newLaneFixture(t, patience), script.New(count)
	f.load(t, counter)
	var occupied sync.WaitGroup
	resume := f.occupy(t, &occupied, counter)
	keys, errs, all := f.start(t, counter, 100)
	f.proxy.CutEach("key-", 2)
	resume()
	all.Wait()
	if trips, commands, largest := f.trips.take(); trips != 2 || commands != 100 || largest != 64 || f.proxy.Cuts() != 2 {
		t.Errorf("%d round trips with %d commands, the largest with %d, and %d cuts", trips, commands, largest, f.proxy.Cuts())
	}
	for i, key := range keys {
		if errs[i] == nil || !script.MayHaveRun(errs[i]) {
			t.Errorf("%s: %v though the reply was lost", key, errs[i])
		}
		if n := f.get(t, key); n != 1 {
			t.Errorf("%s: ran %d times", key, n)
		}
	}
	occupied.Wait()
	if got, err := counter.Run(t.Context(), f.lanes, []string{"afterwards"}); err != nil || got != int64(1) || f.lanes.Busy() != 0 {
		t.Errorf("afterwards: %v, %v, %d busy", got, err, f.lanes.Busy())
	}
}

// The server stops while commands wait: each fails and says that it has not run.
func TestCommandsOfAStoppedServerFail(t *testing.T) {
	f, counter := newLaneFixture(t, patience), script.New(count)
	var occupied sync.WaitGroup
	_ = f.occupy(t, &occupied, counter)
	_, errs, all := f.start(t, counter, 200)
	f.server.Stop()
	all.Wait()
	occupied.Wait()
	for _, err := range errs {
		if err == nil {
			t.Fatal("no error though the server has stopped")
		}
	}
	if f.lanes.Busy() != 0 {
		t.Error("the lanes are still busy")
	}
}

// Commands whose contexts end while they wait are not sent, and their callers do not wait for a lane.
func TestCommandIsNotSentIfItsContextEndsWhileItWaits(t *testing.T) {
	forEachTimeout(t, testContextEndsWhileCommandWaits)
}

func testContextEndsWhileCommandWaits(t *testing.T, withTimeout timeoutFunc) {
	f, counter := newLaneFixture(t, patience), script.New(count)
	f.load(t, counter)
	var occupied sync.WaitGroup
	resume := f.occupy(t, &occupied, counter)
	short := withTimeout(t.Context(), 30*time.Millisecond)
	canceling, cancel := context.WithCancel(t.Context())
	canceled := withTimeout(canceling, time.Minute)
	ended, stop := context.WithCancel(t.Context())
	stop()
	time.AfterFunc(30*time.Millisecond, cancel)
	for cause, ctx := range map[error]context.Context{context.DeadlineExceeded: short, context.Canceled: canceled} {
		if _, err := counter.Run(ctx, f.lanes, []string{"k"}); !errors.Is(err, cause) || script.MayHaveRun(err) || !errors.Is(script.Reason(err), cause) {
			t.Errorf("a context that ends: %v, want %v", err, cause)
		}
	}
	keys, errs, all := f.start(t, counter, 10)
	resume()
	all.Wait()
	occupied.Wait()
	if _, err := counter.Run(ended, f.lanes, []string{"k"}); !errors.Is(err, context.Canceled) || script.MayHaveRun(err) {
		t.Errorf("a context that has ended: %v", err)
	}
	if n := f.get(t, "k"); n != 0 {
		t.Errorf("%d commands were sent though their contexts had ended", n)
	}
	for i, key := range keys {
		if n := f.get(t, key); n != 1 || errs[i] != nil {
			t.Errorf("%s: ran %d times, %v", key, n, errs[i])
		}
	}
}

// A caller that cancels after its command was sent learns its result. A caller whose deadline passes does not wait for others.
func TestCommandThatWasSentEndsWithItsDeadline(t *testing.T) {
	forEachTimeout(t, testDeadlinePassesAfterCommandWasSent)
}

func testDeadlinePassesAfterCommandWasSent(t *testing.T, withTimeout timeoutFunc) {
	f, counter := newLaneFixture(t, patience), script.New(count)
	f.load(t, counter)
	run := func(ctx context.Context, key string) (any, error) { return counter.Run(ctx, f.lanes, []string{key}) }
	canceling, cancel := context.WithCancel(t.Context())
	canceled := withTimeout(canceling, patience)
	var all, short sync.WaitGroup
	resume := f.occupy(t, &all, counter)
	all.Go(func() { _, _ = run(t.Context(), "patient") })
	all.Go(func() {
		if got, err := run(canceled, "canceled"); err != nil || got != int64(1) {
			t.Errorf("canceled after it was sent: %v, %v", got, err)
		}
	})
	f.awaitWaiting(t, 2)
	hold := f.proxy.HoldNth("short", 1)
	short.Go(func() {
		if _, err := run(withTimeout(t.Context(), 2*time.Second), "short"); !errors.Is(err, context.DeadlineExceeded) || !script.MayHaveRun(err) {
			t.Errorf("the deadline has passed after it was sent: %v", err)
		}
	})
	f.awaitWaiting(t, 3)
	resume()
	<-hold.Held()
	cancel()
	short.Wait()
	hold.Release()
	all.Wait()
}

// Timed scripts that wait while the server is paused have no effect after their deadlines, whether they were sent or not.
func TestTimedScriptDoesNothingAfterItsDeadlineInALane(t *testing.T) {
	f, counter := newLaneFixture(t, time.Second), script.New(count)
	clocks, timed := script.NewClocks(f.client), script.NewTimed(count)
	if _, err := timed.Run(t.Context(), clocks, f.lanes, []string{"known"}); err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	resume := f.occupy(t, &all, counter)
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Duration(500+i*10)*time.Millisecond)
			defer cancel()
			if _, err := timed.Run(ctx, clocks, f.lanes, []string{fmt.Sprint("timed", i)}); err == nil {
				t.Error("no error though the server stands still")
			}
		})
	}
	all.Wait()
	resume()
	for i := range 200 {
		if n := f.get(t, fmt.Sprint("timed", i)); n != 0 {
			t.Errorf("script %d ran %d times after its deadline", i, n)
		}
	}
	if got, err := timed.Run(t.Context(), clocks, f.lanes, []string{"known"}); err != nil || got != int64(2) {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

// The time for which a timed script waits for a lane counts: it arrives when its caller has given up, and has no effect.
func TestTimeInALaneCountsForTheDeadlineOfATimedScript(t *testing.T) {
	f, counter := newLaneFixture(t, patience), script.New(count)
	f.load(t, counter)
	clocks, timed := script.NewClocks(f.client), script.NewTimed(count)
	run := func(limit time.Duration, key string) error {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		defer cancel()
		_, err := timed.Run(ctx, clocks, f.lanes, []string{key})
		return err
	}
	if err := run(patience, "known"); err != nil {
		t.Fatal(err)
	}
	var late, all sync.WaitGroup
	resume := f.occupy(t, &all, counter)
	for i := range 20 {
		late.Go(func() {
			if err := run(2*time.Second, fmt.Sprint("late", i)); err == nil || !script.MayHaveRun(err) {
				t.Errorf("script %d: %v", i, err)
			}
		})
	}
	f.awaitWaiting(t, 20)
	all.Go(func() { // the last command of the same pipeline
		if err := run(patience, "patient"); err != nil {
			t.Error(err)
		}
	})
	f.awaitWaiting(t, 21)
	hold := f.proxy.HoldNth("late", 1)
	resume()
	<-hold.Held()
	late.Wait()
	hold.Release()
	all.Wait()
	for i := range 20 {
		if n := f.get(t, fmt.Sprint("late", i)); n != 0 {
			t.Errorf("script %d ran after its deadline", i)
		}
	}
}

// One connection hangs: commands behind it use the other lane. Both hang: commands behind them are sent after the client's time-out.
func TestHangingConnectionDelaysOthersNoLongerThanTheTimeout(t *testing.T) {
	f, counter, slow := newLaneFixture(t, 2*time.Second), script.New(count), script.New(`--slow`)
	f.load(t, counter)
	hold := f.proxy.HoldNth("slow", 1)
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := script.Do(t.Context(), f.lanes, "eval", "--slow", 0); err == nil {
			t.Error("no error though the command was held")
		}
	})
	<-hold.Held()
	for range 20 {
		if _, err := counter.Run(t.Context(), f.lanes, []string{"beside"}); err != nil {
			t.Errorf("beside a connection that hangs: %v", err)
		}
	}
	all.Wait()
	hold.Drop()
	resume := f.occupy(t, &all, slow)
	keys, errs, waiting := f.start(t, counter, 20)
	f.trips.await(t, 1) // after the time-out
	resume()
	waiting.Wait()
	all.Wait()
	for i := range keys {
		if errs[i] != nil {
			t.Errorf("behind connections that hang: %v", errs[i])
		}
	}
}

// One command more than may wait fails at once.
func TestLanesRefuseMoreCommandsThanMayWait(t *testing.T) {
	f, counter := newLaneFixture(t, patience), script.New(count)
	f.load(t, counter)
	var occupied sync.WaitGroup
	resume := f.occupy(t, &occupied, counter)
	keys, errs, all := f.start(t, counter, script.MaxWaiting)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := counter.Run(ctx, f.lanes, []string{"refused"})
	if err == nil || script.MayHaveRun(err) || !strings.Contains(script.Reason(err).Error(), "too many commands wait") {
		t.Errorf("with 1,024 waiting: %v", err)
	}
	resume()
	all.Wait()
	occupied.Wait()
	if trips, commands, largest := f.trips.take(); trips > 20 || commands != script.MaxWaiting || largest != 64 {
		t.Errorf("%d round trips with %d commands, the largest with %d", trips, commands, largest)
	}
	for i, key := range keys {
		if n := f.get(t, key); n != 1 || errs[i] != nil {
			t.Errorf("%s: ran %d times, %v", key, n, errs[i])
		}
	}
	if n := f.get(t, "refused"); n != 0 {
		t.Error("the command that was refused has run")
	}
}

// Commands that block take no lane.
func TestBlockingCommandsTakeNoLane(t *testing.T) {
	f, counter := newLaneFixture(t, patience), script.New(count)
	f.load(t, counter)
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() { _, _ = script.Do(t.Context(), f.lanes, "blpop", "list", 0) })
	}
	direct := f.server.Client(t)
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		info, err := direct.Info(t.Context(), "clients").Result()
		if err == nil && strings.Contains(info, "blocked_clients:5\r\n") {
			break
		}
		if time.Since(begin) > patience {
			t.Fatalf("five clients should be blocked: %s, %v", info, err)
		}
	}
	if got, err := counter.Run(t.Context(), f.lanes, []string{"k"}); err != nil || got != int64(1) {
		t.Errorf("beside reads that block: %v, %v", got, err)
	}
	if trips, _, _ := f.trips.take(); trips != 1 {
		t.Errorf("%d round trips in lanes", trips)
	}
	if err := direct.RPush(t.Context(), "list", 1, 2, 3, 4, 5).Err(); err != nil {
		t.Fatal(err)
	}
	all.Wait()
}
