package node_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// A receiptSwap stands between an example and the server. It can replace the receipt of the next answer by another genuine one, which the
// server itself would never do.
type receiptSwap struct {
	url     string
	server  atomic.Pointer[url.URL]
	replace atomic.Pointer[string] // the receipt to put in
	last    atomic.Pointer[string] // the last receipt that the server gave
}

func newReceiptSwap(t *testing.T) *receiptSwap {
	t.Helper()
	s := &receiptSwap{}
	proxy := &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(s.server.Load()); r.Out.Host = r.In.Host },
		ModifyResponse: s.change,
		FlushInterval:  -1,
		ErrorLog:       log.New(io.Discard, "", 0), // browsers break off requests that wait
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	s.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	return s
}

func (s *receiptSwap) startServer(t *testing.T, origin string) {
	t.Helper()
	server, err := url.Parse(startServer(t, s.url, origin))
	must(t, err)
	s.server.Store(server)
}

// change replaces the receipt of a redeem.
func (s *receiptSwap) change(r *http.Response) error {
	if !strings.HasSuffix(r.Request.URL.Path, "/redeem") || r.StatusCode != http.StatusOK {
		return nil
	}
	var answer map[string]any
	err := json.NewDecoder(r.Body).Decode(&answer)
	if err != nil {
		return err
	}
	if receipt, ok := answer["receipt"].(string); ok {
		s.last.Store(&receipt)
	}
	if other := s.replace.Swap(nil); other != nil {
		answer["receipt"] = *other
	}
	body, err := json.Marshal(answer)
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Del("Content-Length")
	return err
}
