package server

import (
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// A connection of an unknown client is closed when it was idle for unknownIdleTimeout; a known one is not, nor one that is served.
func TestIdleConnectionsOfUnknownClientsAreClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cs := newConnections(10)
		open := map[string]bool{}
		conns := map[string]net.Conn{}
		for _, name := range []string{"unknown", "known", "served"} {
			client, conn := net.Pipe()
			c := cs.add(t.Context(), conn).Value(connectionKey{}).(*connection)
			if name == "known" {
				c.join("shop")
			}
			cs.observe(conn, http.StateActive)
			cs.observe(conn, http.StateIdle)
			conns[name], open[name] = conn, true
			go func() {
				_, _ = client.Read(make([]byte, 1))
				open[name] = false
			}()
		}
		time.Sleep(unknownIdleTimeout - time.Second)
		cs.observe(conns["served"], http.StateActive)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if open["unknown"] || !open["known"] || !open["served"] {
			t.Errorf("open: %v", open)
		}
		cs.observe(conns["served"], http.StateIdle)
		time.Sleep(unknownIdleTimeout + time.Second)
		synctest.Wait()
		if open["served"] {
			t.Error("a connection is open that was served and then idle")
		}
		for _, conn := range conns {
			cs.observe(conn, http.StateClosed)
			_ = conn.Close()
		}
		if len(cs.open) != 0 || len(cs.groups) != 0 {
			t.Errorf("%d connections of %v are counted", len(cs.open), cs.groups)
		}
	})
}
