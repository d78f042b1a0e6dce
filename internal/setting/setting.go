// Package setting has the error by which a constructor says which field of its configuration is wrong, so that a program
// that reads configurations from a file can name the file's own key.
package setting

import "fmt"

// An Error says what is wrong with one field of a configuration.
type Error struct {
	Field string // in Go: Lifetime, Countries[1], Rules[0].Window
	Err   error  // without the field's name
}

// Errorf makes an Error; the format is fmt.Errorf's.
func Errorf(field, format string, args ...any) error {
	return &Error{Field: field, Err: fmt.Errorf(format, args...)}
}

// Error is the field and what is wrong with it.
func (e *Error) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap is what is wrong.
func (e *Error) Unwrap() error { return e.Err }
