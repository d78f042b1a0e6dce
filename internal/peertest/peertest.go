// Package peertest starts TCP servers that break a protocol, for tests.
package peertest

import (
	"net"
	"testing"
)

// Listen calls serve for each connection, in a new goroutine, until the test ends. It returns the loopback address as host:port. The
// function must close the connection.
func Listen(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, listener, serve)
	return listener.Addr().String()
}

// Serve is Listen with an existing listener, which it closes when the test ends.
func Serve(t testing.TB, listener net.Listener, serve func(net.Conn)) {
	t.Helper()
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
}
