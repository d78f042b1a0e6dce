package redis

import "context"

// PingNow is Ping without cached results.
func (s *Store) PingNow(ctx context.Context) error { return s.probe(ctx) }
