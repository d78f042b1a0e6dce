// Package freeport finds ports for servers that tests start.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// The ports are below those that Linux gives to outgoing connections and to listeners on port 0 (from 32768 on). Such a one could take
// the port before the server listens, or while the server is stopped.
const lowest, highest = 12_000, 31_999

// Find returns a port of 127.0.0.1 on which nothing listens.
func Find() (port int, err error) {
	for range 100 {
		port = lowest + rand.IntN(highest-lowest+1)
		var l net.Listener
		if l, err = net.Listen("tcp", join(port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, err
}

// Address returns an address of 127.0.0.1, with its port, on which nothing listens.
func Address(t testing.TB) string {
	t.Helper()
	port, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	return join(port)
}

func join(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
