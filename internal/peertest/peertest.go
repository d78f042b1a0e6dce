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
	return listener.Addr().String()
}
