package main

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
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

// A webhookSink receives webhooks over https, because production servers send no others, and passes each code to the cycle that
// waits for it. It speaks HTTP/1.1.
type webhookSink struct {
	server *httptest.Server
	codes  sync.Map // challenge id → chan sentCode
}

func startSink() *webhookSink {
	s := &webhookSink{}
	s.server = httptest.NewTLSServer(http.HandlerFunc(s.receive))
	return s
}

func (s *webhookSink) close() { s.server.Close() }

func (s *webhookSink) url() string { return s.server.URL + "/hook" }

// writeCertificate writes the certificate of the sink to a file, for clients that trust it.
func (s *webhookSink) writeCertificate(file string) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.server.Certificate().Raw}), 0o600)
}

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
