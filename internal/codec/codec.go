// Package codec encodes the content of encrypted entries and factors in a compact binary form. It replaces encoding/json
// because every check reads such a content and most checks write one.
package codec

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
)

// A Codec encodes or decodes data. A type lists its fields once, in a method that serves both directions, so that they cannot
// differ. Texts are preceded by their length, numbers are varints. Fields that a newer version adds at the end are zero when
// older data is decoded.
type Codec struct {
	reading bool
	data    []byte // encoded so far
	rest    string // not decoded yet; decoded texts share its memory
	err     error
}

// ErrIncomplete means that the data ends within a field.
var ErrIncomplete = errors.New("watchword: sealed data is cut short")

// Encode returns the encoded fields.
func Encode(fields func(*Codec)) ([]byte, error) {
	c := Codec{data: make([]byte, 0, 512)}
	fields(&c)
	return c.data, c.err
}

// Decode sets the fields from the data. The error is ErrIncomplete or of encoding/json.
func Decode(data []byte, fields func(*Codec)) error {
	c := Codec{reading: true, rest: string(data)}
	fields(&c)
	return c.err
}

// Reading reports whether the Codec decodes.
func (c *Codec) Reading() bool { return c.reading }

// Number64 encodes or decodes a 64-bit integer.
func (c *Codec) Number64(v *int64) {
	if !c.reading {
		c.data = binary.AppendVarint(c.data, *v)
		return
	}
	if c.rest == "" || c.err != nil {
		return
	}
	if first := c.rest[0]; first < 0x80 { // one byte, which most are; the last bit is the sign
		*v, c.rest = int64(first>>1)^-int64(first&1), c.rest[1:]
		return
	}
	// The slice bounds the conversion: no varint is longer.
	n, size := binary.Varint([]byte(c.rest[:min(len(c.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		c.err = ErrIncomplete
		return
	}
	*v, c.rest = n, c.rest[size:]
}

// Number encodes or decodes an integer.
func (c *Codec) Number(v *int) {
	n := int64(*v)
	c.Number64(&n)
	*v = int(n)
}

// Flag encodes or decodes a boolean.
func (c *Codec) Flag(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	c.Number(&n)
	*v = n == 1
}

// Text encodes or decodes a string.
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

// Bytes encodes or decodes bytes. An empty slice decodes as nil.
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

// List encodes or decodes a list of byte slices.
func (c *Codec) List(v *[][]byte) { Each(c, v, (*Codec).Bytes) }

// Words encodes or decodes a list of strings.
func (c *Codec) Words(v *[]string) { Each(c, v, (*Codec).Text) }

// Each encodes or decodes a list of values with a function for one of them.
func Each[T any](c *Codec, v *[]T, one func(*Codec, *T)) {
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
		one(c, &(*v)[i])
	}
}

// Optional encodes or decodes a pointer that may be nil, with a function for its fields.
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

// Moment encodes or decodes a time in milliseconds. The zero time stays zero.
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

// The first and the last time that RFC 3339, and so JSON, can represent.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// ClampTime returns the time, or the nearest one that JSON can represent: a damaged row must not make a response fail.
func ClampTime(t time.Time) time.Time {
	switch {
	case t.Before(firstTime):
		return firstTime
	case t.After(lastTime):
		return lastTime
	}
	return t
}

// Texts encodes or decodes a map of strings, in the order of its keys.
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

// Document encodes or decodes a value as JSON. v is a pointer. Without present, nothing is encoded.
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

// CanonicalMap returns the only encoding of a map: keys and values in the order of the keys, each preceded by its length.
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
