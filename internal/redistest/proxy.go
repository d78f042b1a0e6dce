package redistest

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Proxy forwards connections to a server. It can delay data, hold a command, and drop a connection after a command was
// executed and before its reply arrives.
type Proxy struct {
	Addr string
	*faults

	target   string
	listener net.Listener
	rewrite  func(reply []byte) []byte // nil: replies are not changed
	stopped  chan struct{}             // closed when the test has ended
	mu       sync.Mutex
	open     map[net.Conn]bool
}

// StartProxy starts a proxy for a server until the test ends.
func StartProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	p := newProxy(t, target, &faults{})
	p.start(t)
	return p
}

// newProxy returns a proxy that listens, but accepts no connections before it is started.
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

// URL returns the proxy's redis:// URL.
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
			if !cut.Load() && p.takeCut(request) { // one pipeline may arrive in several parts
				cut.Store(true) // before the server receives it, and so before it replies
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

// copyStream copies one direction of a connection until either side closes it or look returns false. Each part is delayed by the
// lag after its arrival, like on a slow network.
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

// A part is a part of a stream with the time at which it is forwarded.
type part struct {
	bytes []byte
	due   time.Time
}

func (p *Proxy) write(to net.Conn, parts <-chan part) {
	for next := range parts {
		time.Sleep(time.Until(next.due))
		if _, err := to.Write(next.bytes); err != nil {
			p.closeConns(to) // the remaining parts are discarded
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
