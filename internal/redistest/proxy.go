package redistest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// A Proxy passes connections on to a server, and can lose a reply: the command was carried out, but whoever sent it is
// cut off before they hear of it.
type Proxy struct {
	Addr string

	target   string
	listener net.Listener
	mu       sync.Mutex
	word     []byte // of the command whose reply is to be lost
	cuts     int
	open     map[net.Conn]bool
}

// StartProxy stands before a server until the test ends.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: target, listener: l, open: map[net.Conn]bool{}}
	go p.accept()
	t.Cleanup(p.close)
	return p
}

// CutNext loses the reply to the next command that holds a word, its verb say, and with the reply the connection.
func (p *Proxy) CutNext(word string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.word = []byte(word)
}

// Cuts is the number of replies that were lost.
func (p *Proxy) Cuts() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cuts
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			return
		}
		cut := new(atomic.Bool)
		go p.pass(client, server, func(request []byte) bool {
			if p.meant(request) {
				cut.Store(true) // before the server sees it, so before it answers
			}
			return true
		})
		go p.pass(server, client, func([]byte) bool { return !cut.Load() })
	}
}

// pass copies one direction of a connection until either side ends or it is told to stop.
func (p *Proxy) pass(from, to net.Conn, look func([]byte) bool) {
	defer p.drop(from, to)
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil || !look(buffer[:n]) {
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// meant reports whether this is the command whose reply is to be lost; it is, once.
func (p *Proxy) meant(request []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.word == nil || !bytes.Contains(request, p.word) {
		return false
	}
	p.word = nil
	p.cuts++
	return true
}

func (p *Proxy) keep(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		if p.open == nil {
			_ = c.Close()
			continue
		}
		p.open[c] = true
	}
	return p.open != nil
}

func (p *Proxy) drop(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.open, c)
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}
