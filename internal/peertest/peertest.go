// Package peertest starts peers for tests that no well-behaved server can play.
package peertest

import (
	"net"
	"testing"
)

// Listen gives each connection to a function, in a goroutine of its own, until the test ends. It returns host and port on
// loopback. The function closes the connection.
func Listen(t testing.TB, serve func(net.Conn)) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	Serve(t, listener, serve)
	return listener.Addr().String()
}

// Serve is Listen on a listener of the test's own; it is closed when the test ends.
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
