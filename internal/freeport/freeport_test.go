package freeport_test

import (
	"net"
	"testing"

	"github.com/watchword-auth/watchword/internal/freeport"
)

func TestAddressIsFree(t *testing.T) {
	for range 20 {
		l, err := net.Listen("tcp", freeport.Address(t))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		if port := l.Addr().(*net.TCPAddr).Port; port >= 32768 {
			t.Errorf("port %d may be given to a connection", port)
		}
	}
}
