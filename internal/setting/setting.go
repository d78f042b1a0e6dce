// Package setting has an error type that names an invalid field of a Go configuration, so that a program can translate it to the key
// in its configuration file.
package setting

import "fmt"

// An Error is a problem of one field of a configuration.
type Error struct {
	Field string // path in Go, such as Lifetime, Countries[1] or Rules[0].Window
	Err   error  // the problem, without the field's name
}

// Errorf returns an Error. The format is that of fmt.Errorf.
func Errorf(field, format string, args ...any) error {
	return &Error{Field: field, Err: fmt.Errorf(format, args...)}
}

// Error returns the field and the problem.
func (e *Error) Error() string { return e.Field + ": " + e.Err.Error() }

// Unwrap returns the problem.
func (e *Error) Unwrap() error { return e.Err }
