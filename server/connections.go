package server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// unknownIdleTimeout is how long a connection may be idle if no request on it had an API key or came through a trusted proxy.
const unknownIdleTimeout = 15 * time.Second

// sampledConnections is how many connections are compared to find the one that is closed when there are too many.
const sampledConnections = 32

// connections bounds the number of open connections of an http.Server. If there are too many, one that waits for its client is
// closed: for a request, or for the rest of one. Connections of unknown clients are closed first, and of several the one that
// has waited longest. So neither idle nor slow clients keep others from connecting.
type connections struct {
	limit int

	mu    sync.Mutex
	open  map[net.Conn]*connection
	waits uint64 // number of waits so far
}

// A connection is one open connection. connections.mu protects its fields.
type connection struct {
	of    *connections
	conn  net.Conn
	known bool        // a request had an API key of an app, or came through a trusted proxy
	wait  uint64      // number of the wait for the client; 0: a request is served
	idle  *time.Timer // closes an idle connection of an unknown client; nil before the first use
}

type connectionKey struct{}

// connectionOf returns the connection of a request, or nil if NewHTTPServer did not make the server.
func connectionOf(r *http.Request) *connection {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	return c
}

// add is the hook ConnContext of http.Server: it makes room for a new connection.
func (cs *connections) add(ctx context.Context, conn net.Conn) context.Context {
	c := &connection{of: cs, conn: conn}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.open) >= cs.limit {
		victim := cs.findLongestWaiting()
		if victim == nil { // all are being served
			_ = conn.Close()
			return ctx
		}
		cs.remove(victim)
		_ = victim.conn.Close()
	}
	cs.open[conn] = c
	c.beginWait()
	return context.WithValue(ctx, connectionKey{}, c)
}

// findLongestWaiting returns the connection to close, or nil if none waits for its client. It compares some of the connections,
// because a flood of connections must not make each new one expensive; a map's iteration begins at a random place.
func (cs *connections) findLongestWaiting() *connection {
	var unknown, known *connection
	sampled := 0
	for _, c := range cs.open {
		switch {
		case c.wait == 0:
		case c.known:
			if known == nil || c.wait < known.wait {
				known = c
			}
		default:
			if unknown == nil || c.wait < unknown.wait {
				unknown = c
			}
			if sampled++; sampled == sampledConnections {
				return unknown
			}
		}
	}
	if unknown != nil {
		return unknown
	}
	return known
}

// observe is the hook ConnState of http.Server.
func (cs *connections) observe(conn net.Conn, state http.ConnState) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.open[conn]
	if c == nil { // closed to make room
		return
	}
	switch state {
	case http.StateActive:
		c.endWait()
	case http.StateIdle:
		c.beginWait()
		if !c.known {
			c.closeWhenIdle()
		}
	case http.StateClosed, http.StateHijacked:
		cs.remove(c)
	}
}

func (cs *connections) remove(c *connection) {
	delete(cs.open, c.conn)
	c.endWait()
}

// beginWait notes that the server waits for the client. The caller holds the lock.
func (c *connection) beginWait() {
	c.of.waits++
	c.wait = c.of.waits
}

// endWait notes that the server does not wait for the client. The caller holds the lock.
func (c *connection) endWait() {
	c.wait = 0
	if c.idle != nil {
		c.idle.Stop()
	}
}

// closeWhenIdle closes the connection after unknownIdleTimeout, unless a request comes before. The caller holds the lock.
func (c *connection) closeWhenIdle() {
	if c.idle != nil {
		c.idle.Reset(unknownIdleTimeout)
		return
	}
	c.idle = time.AfterFunc(unknownIdleTimeout, func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		if c.wait != 0 {
			_ = c.conn.Close()
		}
	})
}

// markKnown notes that a request on the connection had an API key or came through a trusted proxy. c may be nil.
func (c *connection) markKnown() {
	if c != nil {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.known = true
	}
}

// startReading notes that a handler reads the body of a request, which the client may send slowly. c may be nil.
func (c *connection) startReading() {
	if c != nil {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.beginWait()
	}
}

// stopReading notes that a handler has read the body. c may be nil.
func (c *connection) stopReading() {
	if c != nil {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.endWait()
	}
}
