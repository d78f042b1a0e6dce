package delivery

// A MailHeader is a field of a mail's header section (RFC 5322 §2.2).
type MailHeader struct{ Name, Value string }

// AutomaticMailHeaders returns the header fields by which a mail says that a program sent it. They suppress automatic replies:
// Auto-Submitted by RFC 3834 §5, X-Auto-Response-Suppress those of Exchange.
func AutomaticMailHeaders() []MailHeader {
	return []MailHeader{{"Auto-Submitted", "auto-generated"}, {"X-Auto-Response-Suppress", "All"}}
}
