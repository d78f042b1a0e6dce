package redistest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy passes connections on to a server, and does what a network does to them: it can delay what passes, hold a
// command, and lose a reply: the command was carried out, but whoever sent it is cut off before they hear of it.
type Proxy struct {
	Addr string
	*faults

	target   string
	listener net.Listener
	rewrite  func(reply []byte) []byte // nil: replies pass as they are
	stopped  chan struct{}             // closed when the test has ended
	mu       sync.Mutex
	open     map[net.Conn]bool
}

// StartProxy stands before a server until the test ends.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := newProxy(t, target, &faults{})
	p.start(t)
	return p
}

// newProxy listens, and passes nothing on before it is started.
func newProxy(t testing.TB, target string, f *faults) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &Proxy{Addr: l.Addr().String(), faults: f, target: target, listener: l, stopped: make(chan struct{}), open: map[net.Conn]bool{}}
}

func (p *Proxy) start(t testing.TB) {
	go p.accept()
	t.Cleanup(p.close)
}

// URL is the redis:// address under which the server is reached through the proxy.
func (p *Proxy) URL() string { return "redis://" + p.Addr }

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
		if !p.track(client, server) {
			return
		}
		cut := new(atomic.Bool)
		go p.copyStream(client, server, p.lagToServer, func(request []byte) ([]byte, bool) {
			if p.takeCut(request) {
				cut.Store(true) // before the server sees it, so before it answers
			}
			return request, p.waitForHold(request, p.stopped)
		})
		go p.copyStream(server, client, p.lagToClient, func(reply []byte) ([]byte, bool) {
			if p.rewrite != nil {
				reply = p.rewrite(reply)
			}
			return reply, !cut.Load()
		})
	}
}

// copyStream copies one direction of a connection, each part of it later by the lag, until either side ends or it is told to
// stop. What follows a part that is delayed is delayed from its own arrival on, as on a long line.
func (p *Proxy) copyStream(from, to net.Conn, lag func() time.Duration, look func([]byte) ([]byte, bool)) {
	defer p.closeConns(from, to)
	late, written := make(chan part, 1024), make(chan struct{})
	go func() {
		defer close(written)
		p.write(to, late)
	}()
	defer func() {
		close(late)
		<-written
	}()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		bytes, ok := look(bytes.Clone(buffer[:n]))
		if !ok {
			return
		}
		late <- part{bytes, time.Now().Add(lag())}
	}
}

// A part of a stream, and when it is passed on.
type part struct {
	bytes []byte
	due   time.Time
}

func (p *Proxy) write(to net.Conn, parts <-chan part) {
	for next := range parts {
		time.Sleep(time.Until(next.due))
		if _, err := to.Write(next.bytes); err != nil {
			p.closeConns(to) // the rest is read and goes nowhere
		}
	}
}

func (p *Proxy) track(conns ...net.Conn) bool {
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

func (p *Proxy) closeConns(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.open, c)
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	close(p.stopped)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}
