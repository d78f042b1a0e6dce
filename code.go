package watchword

import "fmt"

// secretText is printed instead of a Code.
const secretText = "[secret]"

// A Code is a secret that the engine made: a code, a link's token, a handle or a ticket. It prints as "[secret]" with fmt,
// log/slog, encoding/json and panics; only Reveal returns it. The zero Code is empty.
type Code struct {
	// The text is behind a pointer because fmt does not call methods of unexported fields: of a pointer inside another struct
	// it prints the address only.
	text *string
}

// NewCode returns a Code with the given text, such as the fixed code of a test identity.
func NewCode(text string) Code { return Code{&text} }

// Reveal returns the secret. Call it only where the secret is used.
func (c Code) Reveal() string {
	if c.text == nil {
		return ""
	}
	return *c.text
}

// IsZero reports whether the secret is empty.
func (c Code) IsZero() bool { return c.Reveal() == "" }

// String returns "[secret]". It serves the verb %s, text/template, the text form of log/slog, and panics.
func (c Code) String() string { return secretText }

// GoString returns "[secret]". It serves the verb %#v.
func (c Code) GoString() string { return secretText }

// Format writes "[secret]" for every verb, also where the Code is a field of a struct that is printed with %x or %d.
func (c Code) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secretText)) }

// MarshalText returns "[secret]". It serves encoders of text such as encoding/json.
func (c Code) MarshalText() ([]byte, error) { return []byte(secretText), nil }
