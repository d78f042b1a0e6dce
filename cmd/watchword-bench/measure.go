package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// maxStarts is below the 10,000 starts an hour that the default limits allow an app. Each cell begins with empty limits, and ends
// when its cycles are used up.
const (
	maxStarts     = warmUpCycles + cellCycles + countedCycles
	warmUpCycles  = 1_000
	cellCycles    = 8_000
	countedCycles = 500
)

// minWarmUp is enough for what a new process does only once: it opens connections, loads scripts and grows its heap.
const minWarmUp = 250 * time.Millisecond

// settleTime is how long a new process is idle before its memory is read, because a server returns what start-up needed when that is
// over. A shorter run waits no longer than it measures.
const settleTime = 1500 * time.Millisecond

// A comparison is one run of the benchmark.
type comparison struct {
	options
	sink    *webhookSink
	files   serverFiles
	targets map[bool]*redisTarget // by mode.cluster
	people  atomic.Int64
	dir     string
}

// newComparison starts what the servers of all modes need.
func newComparison(o options) (c *comparison, err error) {
	c = &comparison{options: o, targets: map[bool]*redisTarget{}}
	if c.dir, err = os.MkdirTemp("", "watchword-bench"); err != nil {
		return nil, err
	}
	c.sink = startSink()
	c.files, err = newServerFiles(c.dir, o.watchword, c.sink)
	for _, m := range o.modes {
		if err == nil && c.targets[m.cluster] == nil {
			err = c.startTarget(m.cluster)
		}
	}
	if err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *comparison) startTarget(cluster bool) error {
	target, err := startRedis(c.dir, cluster)
	if err == nil {
		c.targets[cluster] = target
	}
	return err
}

func (c *comparison) close() {
	for _, target := range c.targets {
		target.close()
	}
	c.sink.close()
	_ = os.RemoveAll(c.dir)
}

// compare measures all modes and writes the result to stdout, and progress to stderr.
func compare(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	c, err := newComparison(o)
	if err != nil {
		return err
	}
	defer c.close()
	before := loadAverage()
	rows, err := c.measure(ctx, stderr)
	if err != nil {
		return err
	}
	return writeReport(stdout, describeRun(o, before, loadAverage()), rows)
}

// measure measures all modes in turns, round by round, at each number of connections, and returns the medians.
func (c *comparison) measure(ctx context.Context, progress io.Writer) (rows []row, err error) {
	for _, connections := range c.connections {
		cells := make([][]result, len(c.modes))
		for round := range c.rounds {
			for i, m := range c.modes {
				r, err := c.measureCell(ctx, m, connections)
				if err != nil {
					return nil, fmt.Errorf("%s, %d connections: %w", m.name, connections, err)
				}
				cells[i] = append(cells[i], r)
				fmt.Fprintf(progress, "round %d of %d, %d connections, %s: %.0f cycles/s\n", round+1, c.rounds, connections, m.name, r.cyclesPerSecond)
			}
		}
		for i, m := range c.modes {
			rows = append(rows, row{mode: m, connections: connections, result: medianResult(cells[i])})
		}
	}
	return rows, nil
}

// measureCell measures a mode once, with a new process and an empty Redis. The load has warmed both up before it is measured.
func (c *comparison) measureCell(ctx context.Context, m mode, connections int) (r result, err error) {
	target := c.targets[m.cluster]
	p, err := c.start(ctx, m)
	if err != nil {
		return r, err
	}
	defer p.stop()
	time.Sleep(min(settleTime, c.duration))
	idle, err := p.rss()
	if err != nil {
		return r, err
	}
	l := c.newLoad(m, p, connections)
	if err := c.warmUp(ctx, l); err != nil {
		return r, err
	}
	if r, err = measureLoad(ctx, p, target, l.with(c.duration, cellCycles)); err != nil {
		return r, err
	}
	r.idleRSS = mebibytes(idle)
	commands, cycles, err := c.countCommands(ctx, target, l)
	r.commands = float64(commands.total()) / float64(cycles)
	return r, err
}

// start empties a mode's Redis and starts its server.
func (c *comparison) start(ctx context.Context, m mode) (*process, error) {
	target := c.targets[m.cluster]
	if err := target.flush(ctx); err != nil {
		return nil, err
	}
	return startProcess(ctx, m, environment{watchword: c.watchword, redis: target, sink: c.sink.url(), files: c.files})
}

func (c *comparison) newLoad(m mode, p *process, connections int) load {
	return load{url: p.url, sink: c.sink, people: &c.people, connections: connections, cycle: m.cycle}
}

func (c *comparison) warmUp(ctx context.Context, l load) error {
	_, err := l.with(max(c.duration/4, minWarmUp), warmUpCycles).run(ctx)
	return err
}

// countCommands runs a load and counts its cycles and what clients send to Redis meanwhile.
func (c *comparison) countCommands(ctx context.Context, target *redisTarget, l load) (commands commandCount, cycles int, err error) {
	commands, err = target.countCommands(ctx, func() error {
		counted, err := l.with(c.duration/2, countedCycles).run(ctx)
		cycles = counted.cycles
		return err
	})
	return commands, cycles, err
}

func (l load) with(duration time.Duration, cycles int64) load {
	l.duration, l.cycles = duration, cycles
	return l
}

// measureLoad runs a load and measures what the server and Redis use meanwhile.
func measureLoad(ctx context.Context, p *process, target *redisTarget, l load) (result, error) {
	cpu, errCPU := p.cpuTime()
	nodes, errNodes := target.usage(ctx)
	stop := p.watchRSS()
	done, errLoad := l.run(ctx)
	peak := stop()
	cpuAfter, errCPUAfter := p.cpuTime()
	nodesAfter, errNodesAfter := target.usage(ctx)
	if err := errors.Join(errLoad, errCPU, errNodes, errCPUAfter, errNodesAfter); err != nil {
		return result{}, err
	}
	used := make([]redisUsage, len(nodes))
	for i := range nodes {
		used[i] = nodesAfter[i].minus(nodes[i])
	}
	r := summarize(done, used)
	r.serverCPU = microseconds(cpuAfter-cpu) / float64(done.cycles)
	r.loadRSS = mebibytes(peak)
	return r, nil
}
