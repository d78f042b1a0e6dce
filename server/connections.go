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
// closed: for a request, for the rest of one, or until a response is taken. It is one of the group that has most connections, and
// of several the one that has waited longest. The connections of an app's API keys are a group, so are those through trusted
// proxies, and all others. So neither idle or slow clients nor the clients of one app keep others from connecting.
type connections struct {
	limit int

	mu     sync.Mutex
	open   map[net.Conn]*connection
	groups map[string]int // numbers of open connections
	waits  uint64         // number of waits so far
}

// The groups of connections that belong to no app. No app has such an id.
const (
	unknownGroup = ""
	proxyGroup   = "trusted proxies"
)

// A connection is one open connection. connections.mu protects its fields.
type connection struct {
	of    *connections
	conn  net.Conn
	group string      // the id of the app whose API key a request had, proxyGroup or unknownGroup
	wait  uint64      // number of the wait for the client; 0: a request is served
	idle  *time.Timer // closes an idle connection of an unknown client; nil before the first use
}

func newConnections(limit int) *connections {
	return &connections{limit: limit, open: map[net.Conn]*connection{}, groups: map[string]int{}}
}

type connectionKey struct{}

// connectionOf returns the connection of a request, or nil if NewHTTPServer did not make the server.
func connectionOf(r *http.Request) *connection {
	c, _ := r.Context().Value(connectionKey{}).(*connection)
	return c
}

// add is the hook ConnContext of http.Server: it closes another connection for a new one if there are too many.
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
	cs.groups[c.group]++
	c.beginWait()
	return context.WithValue(ctx, connectionKey{}, c)
}

// findLongestWaiting returns the connection to close, or nil if none waits for its client. It compares some of the connections,
// because a flood of connections must not make each new one expensive; a map's iteration begins at a random place.
func (cs *connections) findLongestWaiting() (victim *connection) {
	sampled := 0
	for _, c := range cs.open {
		if c.wait == 0 {
			continue
		}
		if victim == nil || c.goesBefore(victim) {
			victim = c
		}
		if sampled++; sampled == sampledConnections {
			break
		}
	}
	return victim
}

// goesBefore reports whether c is closed rather than other.
func (c *connection) goesBefore(other *connection) bool {
	own, others := c.of.groups[c.group], c.of.groups[other.group]
	switch {
	case own != others:
		return own > others
	case c.group != other.group:
		return c.group == unknownGroup
	}
	return c.wait < other.wait
}

// observe is the hook ConnState of http.Server.
func (cs *connections) observe(conn net.Conn, state http.ConnState) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c := cs.open[conn]
	if c == nil { // closed for a new one
		return
	}
	switch state {
	case http.StateActive:
		c.endWait()
	case http.StateIdle:
		c.beginWait()
		if c.group == unknownGroup {
			c.closeWhenIdle()
		}
	case http.StateClosed, http.StateHijacked:
		cs.remove(c)
	}
}

func (cs *connections) remove(c *connection) {
	delete(cs.open, c.conn)
	c.leaveGroup()
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

// leaveGroup removes the connection from the count of its group. The caller holds the lock.
func (c *connection) leaveGroup() {
	if c.of.groups[c.group]--; c.of.groups[c.group] == 0 {
		delete(c.of.groups, c.group)
	}
}

// join notes whose connection it is. That of a trusted proxy stays the proxy's, because it serves many. c may be nil.
func (c *connection) join(group string) {
	if c == nil {
		return
	}
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if c.group == group || c.group == proxyGroup || c.of.open[c.conn] != c {
		return
	}
	c.leaveGroup()
	c.group = group
	c.of.groups[group]++
}

// waitForClient notes that a handler waits for the client: for the body of a request, or until it takes the response. c may be nil.
func (c *connection) waitForClient() {
	if c != nil {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.beginWait()
	}
}

// serve notes that a handler has read the body and works on the request. c may be nil.
func (c *connection) serve() {
	if c != nil {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.endWait()
	}
}
