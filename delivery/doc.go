// Package delivery brings an engine's messages to people.
//
// Before anything is sent, an AddressPolicy (NewAddressPolicy) makes the recipient's address canonical, masks it and
// decides whether messages may go there at all.
//
// The engine then puts the ids of what must be sent into an Outbox; Queue is the one of a single process. A Worker claims
// them, has the engine compose each message, which drops what is no longer wanted, sends it and has the outcome recorded:
//
//	Queue → Worker → Render → Router → a provider
//
// Render and Router are Senders around Senders. Render finds the words (Templates) in the reader's language. Router
// knows the providers of each channel, tries them in order, and leaves those alone that are down. Whatever happens, the
// message keeps its id, and nothing is sent after its code has died: a provider is tried a few times at short notice by
// the Router; when all of the channel's providers failed, the Worker comes back later, until the code would be dead.
//
// A PrefixBreaker may watch over it all for number ranges that are sent to but never verified. It wraps the policy and is
// given the engine's events. It counts in Counters, which all processes of a deployment share: in memory for one process, and
// on Redis in the package delivery/redis. The suite that holds counters to their promises is in delivery/counterstest.
//
// No error of the senders here, and none of Environment's connections, holds what a peer sent. One thing a library cannot
// keep back: net/http writes what arrives unasked on an idle connection to the standard logger of package log, and a receiver
// may send the request back. A program gives that logger an output that leaves the text out, as the watchword server does.
//
// Each provider has a folder of its own, and its configuration is a URL that it parses itself (Opener). What it needs of
// the program comes in an Environment. One whose provider reports later what became of a message is a Reporter.
package delivery
