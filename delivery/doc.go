// Package delivery sends an engine's messages by SMS, mail, voice and other channels.
//
// An address policy (NewAddressPolicy) runs first. It converts the recipient's address to its canonical form, masks it,
// and decides whether messages may be sent to it.
//
// The ids of messages are in an outbox. Queue is the outbox of a single process; package store/redis has one that processes share,
// and package delivery/outboxtest is the conformance suite. A Worker claims each id, lets the engine compose the message, sends it,
// and lets the engine record the outcome:
//
//	Queue → Worker → Renderer → Router → a provider
//
// Renderer and Router are senders that wrap other senders. The Renderer writes the message's text from Templates, in the
// reader's language. The Router tries the providers of the message's channel in order. It retries a provider that fails quickly
// once more before it tries the next one, and skips providers that keep failing. When all providers of the channel have failed,
// the Worker retries as long as the code lives. A message keeps its id across retries, and no message is sent after its code has
// expired. A ReportFailover moves messages that a provider has accepted and not delivered to the next one.
//
// A PrefixBreaker refuses number ranges that receive many messages but few verifications. It wraps the address policy and
// handles the engine's events. Its counts are kept in Counters, which all processes of a deployment share: MemoryCounters for
// one process, package delivery/redis for several. Package delivery/counterstest is the conformance suite of Counters.
//
// Each provider has a sub-package. Its configuration is a URL, which the provider's Opener parses. The program passes what
// providers need in an Environment. A sender that receives delivery reports from its provider is a Reporter.
//
// Errors of these senders, and of an Environment's connections, never contain data that a peer sent. There is one exception
// that this package cannot control: net/http writes data that arrives unrequested on an idle connection to the standard logger
// of package log, and a peer may send the request back that way. Set an output for that logger that omits the text, as the
// watchword server does.
package delivery
