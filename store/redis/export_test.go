package redis

import "context"

// PingNow is Ping without what was found before.
func (s *Store) PingNow(ctx context.Context) error { return s.probe(ctx) }
