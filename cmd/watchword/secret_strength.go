package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// This file finds secrets that are well known or easy to guess. A reason completes "the secret ..." and never contains it.

const knownReason = "is a well-known one"

// knownWords are words that people and documentation use in the place of secrets.
var knownWords = strings.Fields(`
	admin administrator api api-key api_key apikey bar baz change-me change_me changeit changeme default demo dev dev-admin
	dev-key development example foo foobar guest hello hunter2 key letmein local my-key my-secret mykey mysecret none null pass
	passw0rd passwd password placeholder postgres prod production qwerty redis root s3cr3t s3cret sample secret shop staging
	supersecret test test-key testing todo token user username watchword your-key your-secret
	1234 12345 123456 1234567 12345678 123456789 1234567890`)

// publishedSecrets are examples of specifications, in base64url: Standard Webhooks 1.0, RFC 8037 A.1, RFC 7515 A.3.1, RFC
// 7517 A.2.
var publishedSecrets = []string{
	"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
	"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
	"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
	"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE",
}

// knownDigests are the SHA-256 digests of the known words: in lower or upper case, with or without the prefix of API keys, with or
// without a line end, which echo adds.
var knownDigests = sync.OnceValue(func() map[[sha256.Size]byte]bool {
	digests := map[[sha256.Size]byte]bool{}
	for _, word := range append([]string{""}, knownWords...) {
		for _, text := range []string{word, strings.ToUpper(word), apiKeyPrefix + word} {
			digests[sha256.Sum256([]byte(text))] = true
			digests[sha256.Sum256([]byte(text+"\n"))] = true
		}
	}
	return digests
})

// isKnownDigest reports whether a SHA-256 digest is that of a known word.
func isKnownDigest(digest []byte) bool {
	return len(digest) == sha256.Size && knownDigests()[[sha256.Size]byte(digest)]
}

// weakPassword returns why a password must not be used, or an empty text. Short passwords are accepted, because another service
// chose them.
func weakPassword(password string) string {
	switch {
	case slices.Contains(knownWords, strings.ToLower(password)):
		return knownReason
	case len(password) > 1 && strings.Count(password, password[:1]) == len(password):
		return "is one character, repeated"
	}
	return ""
}

// weakSecret returns why a secret must not be used, or an empty text. A good secret has at least minBytes random bytes.
func weakSecret(secret []byte, minBytes int) string {
	switch {
	case isPublished(secret):
		return knownReason
	case isArithmeticSeries(secret), isRepetition(secret):
		return "is a repetition or a series, not random"
	case countDistinct(secret) < minDistinct:
		return "has too few different bytes, so it is not random"
	}
	return weakText(string(secret), minBytes)
}

func isPublished(secret []byte) bool {
	return isKnownDigest(secret) || slices.Contains(publishedSecrets, base64.RawURLEncoding.EncodeToString(secret))
}

// isArithmeticSeries reports whether at least half of the bytes differ from the one before by the same step, as in 0, 0, 0 or
// 1, 2, 3.
func isArithmeticSeries(secret []byte) bool {
	var steps [256]int
	for i := 1; i < len(secret); i++ {
		steps[secret[i]-secret[i-1]]++
	}
	return len(secret) > 1 && 2*slices.Max(steps[:]) >= len(secret)-1
}

// isRepetition reports whether the secret repeats a part of at most half its length. The last repetition may be cut off.
func isRepetition(secret []byte) bool {
	for period := 1; 2*period <= len(secret); period++ {
		if bytes.Equal(secret[period:], secret[:len(secret)-period]) {
			return true
		}
	}
	return false
}

// minDistinct is how many different bytes a secret needs. Random bytes always have that many, even in hexadecimal.
const minDistinct = 11

func countDistinct(secret []byte) (n int) {
	var seen [256]bool
	for _, b := range secret {
		if !seen[b] {
			seen[b] = true
			n++
		}
	}
	return n
}

// weakText returns why a printable secret must not be used, or an empty text. A character holds 4 bits in hexadecimal, and at most
// six and a half bits otherwise.
func weakText(text string, minBytes int) string {
	printable := func(r rune) bool { return r >= ' ' && r <= '~' }
	if strings.ContainsFunc(text, func(r rune) bool { return !printable(r) }) {
		return ""
	}
	bits := len(text) * 13 / 2
	if strings.Trim(strings.ToLower(text), "0123456789abcdef") == "" {
		bits = len(text) * 4
	}
	lower := strings.ToLower(text)
	known := func(word string) bool { return len(word) >= 6 && strings.Contains(lower, word) } // shorter ones occur by chance
	switch {
	case slices.ContainsFunc(knownWords, known), repeatsWord(lower):
		return "is made of words, not random"
	case bits < 8*minBytes:
		return fmt.Sprintf("is a text too short for %d random bytes", minBytes)
	}
	return ""
}

// repeatsWord reports whether a word of at least four letters occurs twice.
func repeatsWord(text string) bool {
	words := strings.FieldsFunc(text, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	for i, word := range words {
		if len(word) >= 4 && slices.Contains(words[:i], word) {
			return true
		}
	}
	return false
}
