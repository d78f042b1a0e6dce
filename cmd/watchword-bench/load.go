package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// webhookTimeout is how long a cycle waits for its webhook, beyond the duration of the load.
const webhookTimeout = time.Minute

// A load runs cycles over a number of connections, for a duration or until a number of cycles has begun.
type load struct {
	url         string
	sink        *webhookSink
	people      *atomic.Int64 // number of the last person
	connections int
	duration    time.Duration
	cycles      int64
	cycle       func(*loadWorker, context.Context, person) // nil: runCycle
}

// A loadResult is what a load measured.
type loadResult struct {
	cycles   int
	took     time.Duration
	requests []time.Duration // of each request, until its answer was read
	sends    []time.Duration // from the answer to each start until its webhook arrived; 0 if it arrived before
}

func (l load) run(ctx context.Context) (result loadResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.duration+webhookTimeout)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: l.connections, MaxConnsPerHost: l.connections}}
	defer client.CloseIdleConnections()
	cycle := l.cycle
	if cycle == nil {
		cycle = (*loadWorker).runCycle
	}
	var (
		running sync.WaitGroup
		mu      sync.Mutex
		begun   atomic.Int64
		start   = time.Now()
	)
	for range l.connections {
		running.Go(func() {
			w := loadWorker{client: client, base: l.url, sink: l.sink}
			for w.err == nil && time.Since(start) < l.duration && begun.Add(1) <= l.cycles {
				cycle(&w, ctx, newPerson(l.people.Add(1)))
			}
			mu.Lock()
			defer mu.Unlock()
			result.add(w.loadResult)
			err = errors.Join(err, w.err)
		})
	}
	running.Wait()
	result.took = time.Since(start)
	if err == nil && result.cycles == 0 {
		err = errors.New("no cycle was completed")
	}
	return result, err
}

func (r *loadResult) add(other loadResult) {
	r.cycles += other.cycles
	r.requests = append(r.requests, other.requests...)
	r.sends = append(r.sends, other.sends...)
}

// A loadWorker runs cycles one after another, each for another person.
type loadWorker struct {
	client *http.Client
	base   string
	sink   *webhookSink
	loadResult
	err error
}

// A startRequest is the body of a start.
type startRequest struct {
	Strategy string        `json:"strategy,omitempty"`
	Purpose  string        `json:"purpose"`
	Channel  string        `json:"channel,omitempty"`
	To       string        `json:"to,omitempty"`
	Subject  string        `json:"subject"`
	Client   requestClient `json:"client"`
}

type requestClient struct {
	IP string `json:"ip"`
}

// A checkRequest is the body of a check.
type checkRequest struct {
	Purpose string        `json:"purpose"`
	Subject string        `json:"subject"`
	Answer  string        `json:"answer"`
	Client  requestClient `json:"client"`
}

func (w *loadWorker) runCycle(ctx context.Context, p person) {
	var started struct {
		ID string `json:"id"`
	}
	w.post(ctx, "/v1/challenges", startRequest{"otp", "sign_in", "sms", p.number, p.subject, requestClient{p.ip}}, &started)
	w.finishCycle(ctx, "/v1/challenges/"+started.ID, "sign_in", started.ID, p)
}

// finishCycle waits for the webhook of a challenge, and checks a wrong and the right code at a path.
func (w *loadWorker) finishCycle(ctx context.Context, path, purpose, challenge string, p person) {
	if w.err != nil {
		return
	}
	answered := time.Now()
	defer w.sink.forget(challenge)
	var sent sentCode
	select {
	case sent = <-w.sink.await(challenge):
	case <-ctx.Done():
		w.err = errors.New("no webhook arrived for a start")
		return
	}
	w.sends = append(w.sends, max(sent.at.Sub(answered), 0))
	for _, answer := range []string{wrongCode(sent.code), sent.code} {
		w.post(ctx, path+"/check", checkRequest{purpose, p.subject, answer, requestClient{p.ip}}, nil)
	}
	if w.err == nil {
		w.cycles++
	}
}

// wrongCode returns a code that differs in the last digit.
func wrongCode(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// post sends a request and decodes the answer, unless answer is nil. It does nothing after an error.
func (w *loadWorker) post(ctx context.Context, path string, body, answer any) {
	if w.err != nil {
		return
	}
	data, err := json.Marshal(body)
	if err != nil {
		w.err = err
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+path, bytes.NewReader(data))
	if err != nil {
		w.err = err
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+apiKey)
	began := time.Now()
	resp, err := w.client.Do(req)
	if err != nil {
		w.err = err
		return
	}
	defer func() { _ = resp.Body.Close() }()
	data, w.err = io.ReadAll(resp.Body)
	w.requests = append(w.requests, time.Since(began))
	if resp.StatusCode >= http.StatusBadRequest && resp.StatusCode != http.StatusUnprocessableEntity {
		w.err = fmt.Errorf("%s: %s: %s", path, resp.Status, data)
	}
	if answer != nil && w.err == nil {
		w.err = json.Unmarshal(data, answer)
	}
}
