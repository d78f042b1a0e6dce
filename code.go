package watchword

import "fmt"

// secretText is what a Code shows to whoever did not ask for it by name.
const secretText = "[secret]"

// A Code is a secret that was made here: a code, a link's token, a handle or a page's ticket. It prints as
// "[secret]" through fmt, log/slog, encoding/json and panics; Reveal is the one way out. The text is held by pointer
// because fmt does not call methods of unexported fields: inside another struct it would print a string, but of a
// pointer it prints the address only.
type Code struct{ text *string }

// NewCode wraps a secret that came from elsewhere, a test identity's fixed code say.
func NewCode(text string) Code { return Code{&text} }

// Reveal returns the secret itself. Call it where the secret is used, never on the way there.
func (c Code) Reveal() string {
	if c.text == nil {
		return ""
	}
	return *c.text
}

// IsZero reports whether there is no secret at all.
func (c Code) IsZero() bool { return c.Reveal() == "" }

// String keeps the secret; it serves fmt's %s, text/template, log/slog's text form and panics.
func (c Code) String() string { return secretText }

// GoString keeps the secret from %#v.
func (c Code) GoString() string { return secretText }

// Format keeps the secret from every verb of fmt, %x and %d of a struct around it included.
func (c Code) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secretText)) }

// MarshalText keeps the secret from encoders of text, encoding/json among them.
func (c Code) MarshalText() ([]byte, error) { return []byte(secretText), nil }
