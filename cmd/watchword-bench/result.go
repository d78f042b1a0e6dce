package main

import (
	"slices"
	"time"
)

// A result is what was measured of a mode. Times, commands and reads whose unit is not named are those of one cycle.
type result struct {
	cyclesPerSecond float64
	serverCPU       float64   // µs, user and system
	p50, p99        float64   // ms, of requests
	send, sendP99   float64   // ms, median and p99 of the time from the answer to a start until its webhook arrives
	idleRSS         float64   // MiB, before the first request
	loadRSS         float64   // MiB, largest under load
	redisCPU        float64   // µs, of all nodes
	commands        float64   // of clients to Redis
	reads           float64   // of Redis from sockets
	commandShares   []float64 // by node, of the commands of all nodes; scripts' commands included
	cpuShares       []float64 // by node, of redisCPU
}

// summarize returns the result of a load and of what the nodes did meanwhile, without the server's CPU time and memory.
func summarize(done loadResult, nodes []redisUsage) result {
	cycles := float64(done.cycles)
	r := result{cyclesPerSecond: cycles / done.took.Seconds(), p50: quantile(done.requests, 0.5), p99: quantile(done.requests, 0.99),
		send: quantile(done.sends, 0.5), sendP99: quantile(done.sends, 0.99)}
	var all redisUsage
	for _, n := range nodes {
		all = redisUsage{all.cpu + n.cpu, all.commands + n.commands, all.reads + n.reads}
	}
	for _, n := range nodes {
		r.commandShares = append(r.commandShares, n.commands/all.commands)
		r.cpuShares = append(r.cpuShares, float64(n.cpu)/float64(all.cpu))
	}
	r.redisCPU, r.reads = microseconds(all.cpu)/cycles, all.reads/cycles
	return r
}

// quantile returns a quantile in milliseconds, or 0 if there are no times. It sorts the times.
func quantile(times []time.Duration, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return microseconds(times[int(q*float64(len(times)-1))]) / 1000
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// medianResult returns the median of each value.
func medianResult(results []result) result {
	of := func(value func(result) float64) float64 {
		values := make([]float64, len(results))
		for i, r := range results {
			values[i] = value(r)
		}
		return median(values)
	}
	m := result{
		cyclesPerSecond: of(func(r result) float64 { return r.cyclesPerSecond }),
		serverCPU:       of(func(r result) float64 { return r.serverCPU }),
		p50:             of(func(r result) float64 { return r.p50 }),
		p99:             of(func(r result) float64 { return r.p99 }),
		send:            of(func(r result) float64 { return r.send }),
		sendP99:         of(func(r result) float64 { return r.sendP99 }),
		idleRSS:         of(func(r result) float64 { return r.idleRSS }),
		loadRSS:         of(func(r result) float64 { return r.loadRSS }),
		redisCPU:        of(func(r result) float64 { return r.redisCPU }),
		commands:        of(func(r result) float64 { return r.commands }),
		reads:           of(func(r result) float64 { return r.reads }),
	}
	for i := range results[0].cpuShares {
		m.commandShares = append(m.commandShares, of(func(r result) float64 { return r.commandShares[i] }))
		m.cpuShares = append(m.cpuShares, of(func(r result) float64 { return r.cpuShares[i] }))
	}
	return m
}

// median returns the middle value, or the mean of the two middle ones. It sorts the values.
func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
