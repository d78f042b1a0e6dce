package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/setting"
)

// A checker collects everything that is missing or unsafe, so that it is reported at once.
type checker struct {
	base     string // folder that relative paths in the file start from
	rotating bool   // older keys of the keyring are only there to be replaced
	problems []error
	warnings []string
	secrets  []usedSecret
}

func (c *checker) refuse(bad bool, format string, args ...any) {
	if bad {
		c.problems = append(c.problems, fmt.Errorf(format, args...))
	}
}

// fieldPaths are the paths in the file of what engines, policies and senders are configured with in Go: Purposes is
// apps[0].purposes, say.
type fieldPaths map[string]string

// of is the path of a field such as Purposes[1] or Rules[0].Window; empty if the field is not in the file. What begins with a
// small letter is a path already.
func (p fieldPaths) of(field string) string {
	if field[0] >= 'a' {
		return field
	}
	name := field
	if at := strings.Index(field, "["); at >= 0 {
		name = field[:at]
	}
	path, known := p[name]
	if !known {
		return ""
	}
	return path + strings.ToLower(field[len(name):])
}

// note keeps each of the errors that err joins as a problem of its own, with whatever was written before them.
func (c *checker) note(where string, err error) { c.noteFields(where, nil, err) }

// noteFields does the same; what is wrong with one field of a Go configuration is reported under the field's path.
func (c *checker) noteFields(where string, paths fieldPaths, err error) {
	switch e := err.(type) {
	case nil:
	case joinedErrors:
		for _, one := range e.Unwrap() {
			c.noteFields(where, paths, one)
		}
	case *setting.Error:
		path := paths.of(e.Field)
		if path == "" {
			path = where + ": " + e.Field
		}
		c.noteFields(path, nil, e.Err)
	default:
		inner := errors.Unwrap(err)
		if holds[joinedErrors](inner) || holds[*setting.Error](inner) {
			before := packageName.ReplaceAllString(strings.TrimSuffix(err.Error(), inner.Error()), "")
			c.noteFields(strings.TrimSuffix(where+": "+before, ": "), paths, inner)
			return
		}
		c.problems = append(c.problems, fmt.Errorf("%s: %s", where, packageName.ReplaceAllString(err.Error(), "")))
	}
}

// packageName is what errors of Go packages begin with. It means nothing to an operator.
var packageName = regexp.MustCompile(`^(delivery|receipt|redis|store/[a-z/]+): `)

// withoutConsequences removes what was reported of settings that could not even be read.
func withoutConsequences(problems, unread []error) []error {
	return slices.DeleteFunc(problems, func(err error) bool {
		return slices.ContainsFunc(unread, func(first error) bool { return strings.HasPrefix(first.Error(), pathOf(err)+": ") })
	})
}

func pathOf(err error) string {
	path, _, _ := strings.Cut(err.Error(), ": ")
	return path
}

type joinedErrors interface {
	error
	Unwrap() []error
}

func holds[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// A configError says everything that keeps a server from starting.
type configError struct{ problems []error }

// Error has a line for each problem. What several apps share is wrong for each of them, and reported once.
func (e configError) Error() string {
	var lines []string
	for _, p := range e.problems {
		if line := "\n  - " + p.Error(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return fmt.Sprintf("%d problem(s) in the configuration; the server does not start:", len(lines)) + strings.Join(lines, "")
}
