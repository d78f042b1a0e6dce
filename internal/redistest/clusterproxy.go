package redistest

import (
	"bytes"
	"net"
	"testing"
)

// A ClusterProxy has a Proxy for every node of a Cluster. It replaces the nodes' addresses in replies by those of the proxies.
type ClusterProxy struct {
	*faults
	proxies []*Proxy
}

// StartClusterProxy starts proxies for the nodes until the test ends.
func StartClusterProxy(t testing.TB, c *Cluster) *ClusterProxy {
	t.Helper()
	p := &ClusterProxy{faults: &faults{}}
	for _, node := range c.Nodes {
		p.proxies = append(p.proxies, newProxy(t, node.Addr, p.faults))
	}
	for _, proxy := range p.proxies {
		proxy.rewrite = p.rewrite
		proxy.start(t)
	}
	return p
}

// URL returns the redis+cluster:// URL of the proxies.
func (p *ClusterProxy) URL() string {
	return "redis+cluster://" + p.proxies[0].Addr + "?addr=" + p.proxies[1].Addr + "&addr=" + p.proxies[2].Addr
}

// AddrOf returns the address of a node's proxy.
func (p *ClusterProxy) AddrOf(node *Server) string {
	for _, proxy := range p.proxies {
		if proxy.target == node.Addr {
			return proxy.Addr
		}
	}
	return ""
}

// rewrite replaces the nodes' ports, at the end of an address (MOVED, ASK) or as an integer (CLUSTER SLOTS).
func (p *ClusterProxy) rewrite(reply []byte) []byte {
	for _, proxy := range p.proxies {
		reply = bytes.ReplaceAll(reply, portOf(proxy.target), portOf(proxy.Addr))
	}
	return reply
}

func portOf(addr string) []byte {
	_, port, _ := net.SplitHostPort(addr)
	return []byte(":" + port + "\r\n")
}
