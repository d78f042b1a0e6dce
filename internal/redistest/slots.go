package redistest

import (
	"context"
	"fmt"
	"net"
)

// SlotOwner returns the node that owns the slot of a key.
func (c *Cluster) SlotOwner(ctx context.Context, key string) (*Server, error) {
	slot, err := c.Nodes[0].Do(ctx, "cluster", "keyslot", key)
	if err != nil {
		return nil, err
	}
	lines, err := c.Nodes[0].Do(ctx, "cluster", "slots")
	if err != nil {
		return nil, err
	}
	for _, line := range lines.([]any) {
		fields := line.([]any)
		if n := slot.(int64); n < fields[0].(int64) || n > fields[1].(int64) {
			continue
		}
		master := fields[2].([]any)
		addr := net.JoinHostPort(master[0].(string), fmt.Sprint(master[1]))
		for _, node := range c.Nodes {
			if node.Addr == addr {
				return node, nil
			}
		}
	}
	return nil, fmt.Errorf("redistest: no node owns slot %d", slot)
}

// OtherNode returns another node.
func (c *Cluster) OtherNode(node *Server) *Server {
	if c.Nodes[0] == node {
		return c.Nodes[1]
	}
	return c.Nodes[0]
}

// BeginSlotMove begins to migrate the slot of a key: the old node replies ASK for keys that it no longer has.
func (c *Cluster) BeginSlotMove(ctx context.Context, key string, from, to *Server) error {
	slot, err := from.Do(ctx, "cluster", "keyslot", key)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		node  *Server
		state string
		other *Server
	}{{to, "importing", from}, {from, "migrating", to}} {
		id, err := step.other.Do(ctx, "cluster", "myid")
		if err != nil {
			return err
		}
		if _, err := step.node.Do(ctx, "cluster", "setslot", slot, step.state, id); err != nil {
			return err
		}
	}
	return nil
}

// MoveKeys moves keys while their slot is migrating.
func (c *Cluster) MoveKeys(ctx context.Context, from, to *Server, keys ...string) error {
	args := []any{"migrate", "127.0.0.1", to.port, "", 0, 60_000, "keys"}
	for _, key := range keys {
		args = append(args, key)
	}
	_, err := from.Do(ctx, args...)
	return err
}

// FinishSlotMove ends the migration of a key's slot: the old node replies MOVED from then on.
func (c *Cluster) FinishSlotMove(ctx context.Context, key string, to *Server) error {
	slot, err := to.Do(ctx, "cluster", "keyslot", key)
	if err != nil {
		return err
	}
	id, err := to.Do(ctx, "cluster", "myid")
	if err != nil {
		return err
	}
	nodes := []*Server{to}
	for _, node := range c.Nodes {
		if node != to {
			nodes = append(nodes, node)
		}
	}
	for _, node := range nodes {
		if _, err := node.Do(ctx, "cluster", "setslot", slot, "node", id); err != nil {
			return err
		}
	}
	return nil
}
