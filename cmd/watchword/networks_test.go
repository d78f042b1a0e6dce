package main

import (
	"strings"
	"testing"
)

func TestNetworksRefusesIPv4MappedOnes(t *testing.T) {
	for _, text := range []string{"::ffff:10.0.0.1", "::ffff:10.0.0.0/104", "::ffff:a00:0/104"} {
		var c checker
		c.networks("allowed_networks", []string{"10.0.0.0/8", text, "fd00::/8"})
		if len(c.problems) != 1 || !strings.Contains(c.problems[0].Error(), "write it as IPv4") {
			t.Errorf("%s: problems %v", text, c.problems)
		}
	}
}
