// Package ratelimit limits how often challenges may be started and checked. Limits are named rules, such as five starts in ten
// minutes for one address, or two hundred a day from one client.
//
//	store := ratelimit.NewMemory(ratelimit.MemoryConfig{})
//	limiter, err := ratelimit.New(store, ratelimit.DefaultRules(), "shop")
//
// A *Limiter implements watchword.Limiter. The engine passes the buckets of a start to Take: its address, subject, client and so
// on. Take applies every rule that counts by one of them. Each pair of a rule and a bucket has its own window. Take spends one
// token from each of these windows or, if one of them is full, from none, in one atomic step of the Store. Refused starts do
// not count, and of any number of concurrent callers exactly Limit pass.
//
// # Sliding windows
//
// In any period as long as the rule's Window at most Limit tokens are spent, wherever the period begins. For limits up to
// ExactLimit the store keeps the time of each event, and RetryAfter of a refusal is exact: the same Take is refused before that
// time and passes at that time, unless other events were counted in between. For larger limits the time of an event is rounded up to
// a hundredth of the window, and events with the same rounded time share an entry. An event then counts up to a hundredth of the
// window longer than necessary. The limit holds in every period, RetryAfter is never too short, and a window takes about a
// kilobyte, however large its limit.
//
// # Stores
//
// NewMemory returns a store for a single process. Package ratelimit/redis has a store for several processes; a Take is one script
// and one round trip. Both implement Store and with it limiter.Store of github.com/ulule/limiter/v3, so that limiter.New, its
// Rate and its middleware work with them. If a store is unavailable, Take returns its error and no start passes. Package
// ratelimit/ratelimittest is the conformance suite of stores.
//
// With several processes, limits on starts need the store on Redis, because they must be shared. A Store never drops events that
// still count. If it is full it refuses; in memory each app has its own capacity.
//
// # Throttles
//
// A Throttle limits checks. It only reduces load: codes are protected by the failed-attempt limits of watchword.Store. Each
// process has a Throttle for each app, which needs no round trip and bounded memory. When it is full it drops the least recently
// used buckets, so it never refuses anybody for lack of space. A Throttle does not implement watchword.Limiter, nor a Limiter
// watchword.Throttle, because a limiter that may forget must not replace one that must not. See DefaultCheckRules.
package ratelimit
