// Package ratelimit limits how often something may be started or checked, by named rules: five sends in ten minutes to
// one address, two hundred a day from one client, and so on.
//
//	store := ratelimit.NewMemory(ratelimit.MemoryConfig{})
//	limiter, err := ratelimit.New(store, ratelimit.Defaults(), "shop")
//
// A *Limiter is a watchword.Limiter. The engine names the buckets that a start is about (whose address, which subject,
// which client ...) and Take finds every rule that counts by one of them. Each pair of a rule and a bucket is a window
// of its own. One Take spends one token from all of these windows or, when one of them is full, from none, in a single
// atomic step of the Store: what was refused does not count, and of any number of racing callers exactly as many pass
// as the limit says.
//
// # Sliding windows
//
// A window slides: in any stretch of time as long as the rule's Window at most Limit tokens are spent, wherever the
// stretch begins. For limits up to ExactLimit the time of each event is remembered, and the wait that a refusal names is
// exact: a moment earlier the same Take is refused, at that moment it passes, unless somebody else was faster. For
// larger limits an event's time is rounded up to the next hundredth of the window, and events of one hundredth share an
// entry. An event then counts up to a hundredth of the window longer than it must: the limit holds in every stretch as
// before, the wait is never too short, and a window costs about a kilobyte, however large its limit.
//
// # Stores
//
// NewMemory counts in the process; the package ratelimit/redis counts for many processes, in one script and one round
// trip. Both implement Store and with it limiter.Store of github.com/ulule/limiter/v3, so that limiter.New, its Rate and
// its middleware work on top of them. When a store cannot be reached, Take returns its plain error: nothing passes.
// The suite that holds a store to these promises is in ratelimit/ratelimittest.
//
// Limits on starts are shared, so they belong into Redis when there are several processes. A Store never forgets what counts:
// where it has no place left it refuses, and in memory each app has a place of its own.
//
// # Throttles
//
// Limits on checks are there to keep noise away; what protects codes are the guess budgets in watchword.Store. So each process
// counts its own, for each app apart, in a Throttle: without a round trip, in bounded memory, and without ever refusing
// somebody for want of space, since it forgets what was not used for longest. A Throttle is no watchword.Limiter, and a Limiter no
// watchword.Throttle: what may forget cannot take the place of what must not. See DefaultCheckRules.
package ratelimit
