// Package ratelimittest holds what every ratelimit.Store promises, as tests. A store's own test opens it and calls Run:
//
//	func TestStore(t *testing.T) {
//		ratelimittest.Run(t, func(t *testing.T) ratelimittest.Fixture {
//			return ratelimittest.Fixture{Nodes: []ratelimit.Store{openAcme(t), openAcme(t)}}
//		})
//	}
package ratelimittest
