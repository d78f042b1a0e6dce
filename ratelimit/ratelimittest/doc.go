// Package ratelimittest is the conformance suite of ratelimit.Store. The test of a store calls Run:
//
//	func TestStore(t *testing.T) {
//		ratelimittest.Run(t, func(t *testing.T) ratelimittest.Fixture {
//			return ratelimittest.Fixture{Nodes: []ratelimit.Store{openAcme(t), openAcme(t)}}
//		})
//	}
package ratelimittest
