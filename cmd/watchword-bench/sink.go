package main

import (
	"encoding/json"
	"net"
	"net/http"
	"sync"
	"time"
)

// A webhook is the part of a message's webhook that the benchmark uses.
type webhook struct {
	Type string `json:"type"`
	Data struct {
		ChallengeID string `json:"challenge_id"`
		Code        string `json:"code"`
	} `json:"data"`
}

// A sentCode is the code of a webhook, and the time at which the webhook arrived.
type sentCode struct {
	code string
	at   time.Time
}

// A webhookSink receives webhooks, and passes each code to the cycle that waits for it.
type webhookSink struct {
	url    string
	server *http.Server
	codes  sync.Map // challenge id → chan sentCode
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
	at := time.Now()
	var hook webhook
	if err := json.NewDecoder(r.Body).Decode(&hook); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	select {
	case s.await(hook.Data.ChallengeID) <- sentCode{hook.Data.Code, at}:
	default: // a repetition that nobody waits for
	}
	w.WriteHeader(http.StatusNoContent)
}

// await returns the channel of a challenge's code. The webhook may arrive before the answer to the start.
func (s *webhookSink) await(id string) chan sentCode {
	ch, _ := s.codes.LoadOrStore(id, make(chan sentCode, 1))
	return ch.(chan sentCode)
}

// forget removes the channel of a challenge.
func (s *webhookSink) forget(id string) { s.codes.Delete(id) }
