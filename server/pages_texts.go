package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const (
	maxTextFile = 256 << 10
	maxText     = 1000 // bytes
)

// decodeTexts decodes an object of texts. Unlike json.Unmarshal it refuses a name that is there twice.
func decodeTexts(content []byte) (map[string]string, error) {
	if len(content) > maxTextFile {
		return nil, fmt.Errorf("has %d bytes; the maximum is %d", len(content), maxTextFile)
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, errors.Join(errors.New("is not a JSON object"), err)
	}
	texts := map[string]string{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return nil, fmt.Errorf("is not JSON: %w", err)
		}
		var text string
		if err := decoder.Decode(&text); err != nil {
			return nil, fmt.Errorf("%q: %w", name, err)
		}
		key, _ := name.(string)
		if _, twice := texts[key]; twice {
			return nil, fmt.Errorf("%q is there twice", key)
		}
		texts[key] = text
	}
	if _, err := decoder.Token(); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("has something after the JSON object")
	}
	return texts, nil
}

var (
	placeholders   = regexp.MustCompile(`\{[a-z]+\}`)
	ownNamePattern = regexp.MustCompile(`^(purpose|transaction)_[a-z0-9_]{1,40}$`)
)

// checkTexts compares the texts of a language with those of the fallback language. It returns all problems, sorted.
func checkTexts(own, fallback map[string]string) (problems []error) {
	var missing []string
	for name := range fallback {
		if _, ok := own[name]; !ok {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	if len(missing) > 0 {
		problems = append(problems, fmt.Errorf("texts are missing: %s", strings.Join(missing, ", ")))
	}
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if err := checkText(name, own[name], fallback); err != nil {
			problems = append(problems, fmt.Errorf("%q: %w", name, err))
		}
	}
	return problems
}

func checkText(name, text string, fallback map[string]string) error {
	known, ok := fallback[name]
	switch {
	case !ok && !ownNamePattern.MatchString(name):
		return errors.New("there is no such text")
	case strings.TrimSpace(text) == "":
		return errors.New("is empty")
	case len(text) > maxText:
		return fmt.Errorf("has %d bytes; the maximum is %d", len(text), maxText)
	case strings.ContainsFunc(text, unicode.IsControl):
		return errors.New("contains a control character")
	}
	allowed := placeholders.FindAllString(known, -1)
	rest := placeholders.ReplaceAllStringFunc(text, func(placeholder string) string {
		if slices.Contains(allowed, placeholder) {
			return ""
		}
		return placeholder
	})
	if strings.ContainsAny(rest, "{}") {
		return fmt.Errorf("may have no other words in braces than %s", orNone(allowed))
	}
	return nil
}

func orNone(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}
