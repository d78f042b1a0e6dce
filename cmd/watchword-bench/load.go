package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A webhookSink receives webhooks, and passes each code to the cycle that waits for it.
type webhookSink struct {
	url    string
	server *http.Server
	codes  sync.Map // challenge id → chan string
}

func startSink() (*webhookSink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &webhookSink{url: "http://" + l.Addr().String() + "/hook"}
	s.server = &http.Server{Handler: http.HandlerFunc(s.receive), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = s.server.Serve(l) }()
	return s, nil
}

func (s *webhookSink) close() { _ = s.server.Close() }

func (s *webhookSink) receive(w http.ResponseWriter, r *http.Request) {
	var hook struct {
		Data struct {
			ChallengeID string `json:"challenge_id"`
			Code        string `json:"code"`
		} `json:"data"`
	}
	if err := json.NewDecoder(r.Body).Decode(&hook); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.codeChannel(hook.Data.ChallengeID) <- hook.Data.Code
	w.WriteHeader(http.StatusNoContent)
}

// codeChannel returns the channel of a challenge's code. The webhook may arrive before the reply to the start.
func (s *webhookSink) codeChannel(id string) chan string {
	ch, _ := s.codes.LoadOrStore(id, make(chan string, 8))
	return ch.(chan string)
}

type result struct {
	cycles   float64 // per second
	p50, p99 time.Duration
	cpu      time.Duration // of the server, per cycle
	commands float64       // of Redis, per cycle
}

func (r result) print(name string, connections int, baseline result) {
	fmt.Printf("%-14s %5d %10.0f %9s %9s %12s %10.2f %13.2f %10.2f\n", name, connections, r.cycles, r.p50.Round(10*time.Microsecond),
		r.p99.Round(10*time.Microsecond), r.cpu.Round(time.Microsecond), r.commands, r.cycles/baseline.cycles, float64(r.cpu)/float64(baseline.cpu))
}

func median(all []result) result {
	slices.SortFunc(all, func(a, b result) int { return int(a.cycles - b.cycles) })
	return all[len(all)/2]
}

// measure measures one server for a time, after half a second of warm-up.
func measure(ctx context.Context, p *process, rd *redisServer, s *webhookSink, connections int, length time.Duration) (result, error) {
	if _, _, err := runLoad(ctx, p, s, connections, 500*time.Millisecond); err != nil {
		return result{}, err
	}
	cpu, began := p.cpuTime(), time.Now()
	cycles, latencies, err := runLoad(ctx, p, s, connections, length)
	if err != nil {
		return result{}, err
	}
	if cycles == 0 {
		return result{}, errors.New("no cycle was completed")
	}
	took := time.Since(began)
	cpu = (p.cpuTime() - cpu) / time.Duration(cycles)
	commands, err := countCommands(ctx, p, rd, s)
	if err != nil {
		return result{}, err
	}
	slices.Sort(latencies)
	return result{cycles: float64(cycles) / took.Seconds(), p50: latencies[len(latencies)/2], p99: latencies[len(latencies)*99/100],
		cpu: cpu, commands: commands}, nil
}

// countCommands counts the Redis commands of some sequential cycles. It is separate from the measurement because MONITOR is slow.
func countCommands(ctx context.Context, p *process, rd *redisServer, s *webhookSink) (float64, error) {
	const cycles = 20
	c := loadWorker{client: &http.Client{}, base: p.url, sink: s}
	defer c.client.CloseIdleConnections()
	n, err := rd.countCommands(ctx, func() error {
		for i := range int64(cycles) {
			c.runCycle(ctx, i)
		}
		time.Sleep(100 * time.Millisecond) // the last message is recorded after its webhook
		return c.err
	})
	return float64(n) / cycles, err
}

func runLoad(ctx context.Context, p *process, s *webhookSink, connections int, length time.Duration) (cycles int, latencies []time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, length+10*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		number atomic.Int64
		until  = time.Now().Add(length)
	)
	for range connections {
		wg.Go(func() {
			c := loadWorker{client: client, base: p.url, sink: s}
			for time.Now().Before(until) && c.err == nil {
				c.runCycle(ctx, number.Add(1))
			}
			mu.Lock()
			defer mu.Unlock()
			cycles, latencies, err = cycles+c.done, append(latencies, c.latencies...), errors.Join(err, c.err)
		})
	}
	wg.Wait()
	return cycles, latencies, err
}

// A loadWorker runs cycles one after another, each for a new subject.
type loadWorker struct {
	client    *http.Client
	base      string
	sink      *webhookSink
	done      int
	latencies []time.Duration
	err       error
}

func (c *loadWorker) runCycle(ctx context.Context, n int64) {
	subject := fmt.Sprintf("user_%d", n)
	var started struct {
		ID string `json:"id"`
	}
	c.post(ctx, "/v1/challenges", map[string]any{"strategy": "otp", "purpose": "sign_in", "channel": "sms",
		"to": fmt.Sprintf("+1415%07d", 2_000_000+n%7_000_000), "subject": subject}, &started)
	if c.err != nil {
		return
	}
	codes := c.sink.codeChannel(started.ID)
	defer c.sink.codes.Delete(started.ID)
	var code string
	select {
	case code = <-codes:
	case <-ctx.Done():
		c.err = errors.New("no webhook arrived for a start")
		return
	}
	for _, answer := range []string{wrongCode(code), code} {
		c.post(ctx, "/v1/challenges/"+started.ID+"/check", map[string]any{"purpose": "sign_in", "subject": subject, "answer": answer}, nil)
	}
	c.done++
}

func wrongCode(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

func (c *loadWorker) post(ctx context.Context, path string, body any, answer any) {
	if c.err != nil {
		return
	}
	data, _ := json.Marshal(body)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+path, bytes.NewReader(data))
	if err != nil {
		c.err = err
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer dev")
	began := time.Now()
	resp, err := c.client.Do(req)
	if err != nil {
		c.err = err
		return
	}
	defer resp.Body.Close()
	data, c.err = io.ReadAll(resp.Body)
	c.latencies = append(c.latencies, time.Since(began))
	if resp.StatusCode >= 400 && resp.StatusCode != http.StatusUnprocessableEntity {
		c.err = fmt.Errorf("%s: %s: %s", path, resp.Status, data)
	}
	if answer != nil && c.err == nil {
		c.err = json.Unmarshal(data, answer)
	}
}
