package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/internal/setting"
)

// A checker collects the problems of a configuration, so that they are reported together.
type checker struct {
	folder   string // from which relative paths in the file start
	rotating bool   // the keyring is being rotated, so its older keys may be weak
	problems []error
	warnings []string
	secrets  []usedSecret
}

func (c *checker) addProblemIf(bad bool, format string, args ...any) {
	if bad {
		c.problems = append(c.problems, fmt.Errorf(format, args...))
	}
}

// fieldPaths maps the fields of Go configurations to paths of the file, such as Purposes to apps[0].purposes.
type fieldPaths map[string]string

// pathOf returns the path of a field such as Purposes[1] or Rules[0].Window. It is empty if the file has no such setting. A name
// that begins with a small letter is already a path.
func (p fieldPaths) pathOf(field string) string {
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

// addError adds each error that err joins as a problem of its own, with the text that err puts before them.
func (c *checker) addError(where string, err error) { c.addFieldErrors(where, nil, err) }

// addFieldErrors is addError for errors of Go configurations: the problem of a field gets the field's path.
func (c *checker) addFieldErrors(where string, paths fieldPaths, err error) {
	switch e := err.(type) {
	case nil:
	case joinedErrors:
		for _, one := range e.Unwrap() {
			c.addFieldErrors(where, paths, one)
		}
	case *setting.Error:
		path := paths.pathOf(e.Field)
		if path == "" {
			path = joinSetting(where, e.Field)
		}
		c.addFieldErrors(path, nil, e.Err)
	default:
		inner := errors.Unwrap(err)
		if containsError[joinedErrors](inner) || containsError[*setting.Error](inner) {
			before := packageName.ReplaceAllString(strings.TrimSuffix(err.Error(), inner.Error()), "")
			c.addFieldErrors(strings.TrimSuffix(where+": "+before, ": "), paths, inner)
			return
		}
		c.problems = append(c.problems, fmt.Errorf("%s: %s", where, packageName.ReplaceAllString(err.Error(), "")))
	}
}

// joinSetting appends a field of a Go configuration to a path, as the file would spell it: NativeOrigins[0] is native_origins[0].
func joinSetting(where, field string) string {
	name := strings.ToLower(innerCapital.ReplaceAllString(field, "${1}_${2}"))
	if strings.ContainsAny(where, ` "`) { // not a path, but a name for people
		return where + ": " + name
	}
	return where + "." + name
}

var innerCapital = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// packageName matches the package name before an error, which is of no use to an operator.
var packageName = regexp.MustCompile(`^(delivery|receipt|redis|server|store/[a-z/]+): `)

// withoutUnreadSettings removes the problems of settings that could not be read, which readProblems has already.
func withoutUnreadSettings(problems, readProblems []error) []error {
	return slices.DeleteFunc(problems, func(err error) bool {
		return slices.ContainsFunc(readProblems, func(first error) bool { return strings.HasPrefix(first.Error(), problemPath(err)+": ") })
	})
}

func problemPath(err error) string {
	path, _, _ := strings.Cut(err.Error(), ": ")
	return path
}

type joinedErrors interface {
	error
	Unwrap() []error
}

func containsError[E error](err error) bool {
	var e E
	return errors.As(err, &e)
}

// A configError has every problem that prevents the server from starting.
type configError struct{ problems []error }

// Error returns a line for each problem. A problem of a setting that apps share is found for each app, and reported once.
func (e configError) Error() string {
	var lines []string
	for _, p := range e.problems {
		if line := "\n  - " + p.Error(); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return fmt.Sprintf("%d problem(s) in the configuration; the server does not start:", len(lines)) + strings.Join(lines, "")
}
