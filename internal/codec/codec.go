// Package codec encodes the content of sealed entries and factors in a compact binary form. It is used instead of
// encoding/json because every check reads one such content and most write one.
package codec

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
)

// A Codec writes or reads data. A type lists its fields once, in a method that is called for both, so that they cannot
// disagree. Texts are preceded by their length, numbers are varints. Fields that a newer version adds at the end are zero
// when older data is read.
type Codec struct {
	reading bool
	data    []byte // what was written
	rest    string // what is still to be read; texts are parts of it and share its memory
	err     error
}

// ErrIncomplete says that the data ends within a field.
var ErrIncomplete = errors.New("watchword: sealed data is cut short")

// Encode writes what fields lists.
func Encode(fields func(*Codec)) ([]byte, error) {
	c := Codec{data: make([]byte, 0, 512)}
	fields(&c)
	return c.data, c.err
}

// Decode reads what fields lists.
func Decode(data []byte, fields func(*Codec)) error {
	c := Codec{reading: true, rest: string(data)}
	fields(&c)
	return c.err
}

// Reading reports whether fields are read; else they are written.
func (c *Codec) Reading() bool { return c.reading }

// Number64 is a field of 64 bits.
func (c *Codec) Number64(v *int64) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, *v)
		return
	}
	if c.rest == "" || c.err != nil {
		return
	}
	if first := c.rest[0]; first < 0x80 { // one byte, as most are: the sign is the last bit
		*v, c.rest = int64(first>>1)^-int64(first&1), c.rest[1:]
		return
	}
	// A varint is never longer than this, so the conversion stays small.
	n, size := binary.Varint([]byte(c.rest[:min(len(c.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		c.err = ErrIncomplete
		return
	}
	*v, c.rest = n, c.rest[size:]
}

// Number is an integer field.
func (c *Codec) Number(v *int) {
	n := int64(*v)
	c.Number64(&n)
	*v = int(n)
}

// Flag is a boolean field.
func (c *Codec) Flag(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	c.Number(&n)
	*v = n == 1
}

// Text is a string field.
func (c *Codec) Text(v *string) {
	n := len(*v)
	c.Number(&n)
	if !c.reading {
		c.data = append(c.data, *v...)
		return
	}
	if c.err != nil || n < 0 || n > len(c.rest) {
		c.err = ErrIncomplete
		return
	}
	if c.rest == "" {
		return
	}
	*v, c.rest = c.rest[:n], c.rest[n:]
}

// Bytes is a field of bytes; none are nil.
func (c *Codec) Bytes(v *[]byte) {
	if !c.reading {
		n := len(*v)
		c.Number(&n)
		c.data = append(c.data, *v...)
		return
	}
	var s string
	if c.Text(&s); s != "" {
		*v = []byte(s)
	}
}

// List is a field of several byte strings.
func (c *Codec) List(v *[][]byte) { Each(c, v, c.Bytes) }

// Words is a field of several strings.
func (c *Codec) Words(v *[]string) { Each(c, v, c.Text) }

// Each is a field of several values of any kind.
func Each[T any](c *Codec, v *[]T, one func(*T)) {
	n := len(*v)
	c.Number(&n)
	if c.reading {
		if n < 0 || n > len(c.rest) {
			c.err = ErrIncomplete
			return
		}
		if n > 0 {
			*v = make([]T, n)
		}
	}
	for i := range *v {
		one(&(*v)[i])
	}
}

// Optional is a field that may be nil, which takes one byte.
func Optional[T any](c *Codec, v **T, fields func(*T, *Codec)) {
	present := *v != nil
	if c.Flag(&present); !present {
		return
	}
	if c.reading {
		*v = new(T)
	}
	fields(*v, c)
}

// Moment is a time field, to a millisecond; the zero time stays zero.
func (c *Codec) Moment(v *time.Time) {
	var ms int64
	if !v.IsZero() {
		ms = v.UnixMilli()
	}
	c.Number64(&ms)
	if c.reading && ms != 0 {
		*v = ClampTime(time.UnixMilli(ms).UTC())
	}
}

// The first and the last time that RFC 3339, and so JSON, can write.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// ClampTime is a stored time, or the nearest one that can be written as JSON: a damaged row must not make every answer
// fail that it is part of.
func ClampTime(t time.Time) time.Time {
	switch {
	case t.Before(firstTime):
		return firstTime
	case t.After(lastTime):
		return lastTime
	}
	return t
}

// Texts is a field of named strings, written in the order of their names.
func (c *Codec) Texts(v *map[string]string) {
	n := len(*v)
	c.Number(&n)
	if n == 0 {
		return
	}
	if !c.reading {
		for _, name := range slices.Sorted(maps.Keys(*v)) {
			text := (*v)[name]
			c.Text(&name)
			c.Text(&text)
		}
		return
	}
	if n < 0 || n > len(c.rest) {
		c.err = ErrIncomplete
		return
	}
	*v = make(map[string]string, n)
	for range n {
		var name, text string
		c.Text(&name)
		c.Text(&text)
		(*v)[name] = text
	}
}

// Document is a field of any shape, kept as JSON. v is a pointer; when written, present says whether there is anything.
func (c *Codec) Document(present bool, v any) {
	var text []byte
	if !c.reading && present {
		if text, c.err = json.Marshal(v); c.err != nil {
			return
		}
	}
	c.Bytes(&text)
	if c.reading && c.err == nil && len(text) > 0 {
		c.err = json.Unmarshal(text, v)
	}
}

// CanonicalMap encodes a map in one way only: names in order, each text preceded by its length.
func CanonicalMap(m map[string]string) string {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(m)) {
		for _, text := range []string{name, m[name]} {
			out = binary.BigEndian.AppendUint32(out, uint32(len(text)))
			out = append(out, text...)
		}
	}
	return string(out)
}
