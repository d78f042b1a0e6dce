package watchword

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"
)

// A codec writes or reads sealed data. A type lists its fields once, in a method that serves both ways, so they cannot
// disagree. Texts are preceded by their length, numbers are varints; fields that a newer version adds at the end are zero
// when older data is read. It is used instead of encoding/json because every check reads one record and most write one.
type codec struct {
	reading bool
	data    []byte // what was written
	rest    string // what is still to be read; texts are parts of it and share its memory
	err     error
}

var errCodec = errors.New("watchword: sealed data is cut short")

// encoded writes what fields lists.
func encoded(fields func(*codec)) ([]byte, error) {
	c := codec{data: make([]byte, 0, 512)}
	fields(&c)
	return c.data, c.err
}

// decode reads what fields lists.
func decode(data []byte, fields func(*codec)) error {
	c := codec{reading: true, rest: string(data)}
	fields(&c)
	return c.err
}

func (c *codec) number64(v *int64) {
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
		c.err = errCodec
		return
	}
	*v, c.rest = n, c.rest[size:]
}

func (c *codec) number(v *int) {
	n := int64(*v)
	c.number64(&n)
	*v = int(n)
}

func (c *codec) flag(v *bool) {
	n := 0
	if *v {
		n = 1
	}
	c.number(&n)
	*v = n == 1
}

func (c *codec) text(v *string) {
	n := len(*v)
	c.number(&n)
	if !c.reading {
		c.data = append(c.data, *v...)
		return
	}
	if c.err != nil || n < 0 || n > len(c.rest) {
		c.err = errCodec
		return
	}
	if c.rest == "" {
		return
	}
	*v, c.rest = c.rest[:n], c.rest[n:]
}

func (c *codec) bytes(v *[]byte) {
	if !c.reading {
		n := len(*v)
		c.number(&n)
		c.data = append(c.data, *v...)
		return
	}
	var s string
	if c.text(&s); s != "" {
		*v = []byte(s)
	}
}

func (c *codec) list(v *[][]byte) { each(c, v, c.bytes) }

func (c *codec) words(v *[]string) { each(c, v, c.text) }

// each is a list of any kind: how many, and then one after the other.
func each[T any](c *codec, v *[]T, one func(*T)) {
	n := len(*v)
	c.number(&n)
	if c.reading {
		if n < 0 || n > len(c.rest) {
			c.err = errCodec
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

// optional is what may not be there: nil is one byte.
func optional[T any](c *codec, v **T, fields func(*T, *codec)) {
	present := *v != nil
	if c.flag(&present); !present {
		return
	}
	if c.reading {
		*v = new(T)
	}
	fields(*v, c)
}

// moment keeps milliseconds; the zero time stays zero.
func (c *codec) moment(v *time.Time) {
	var ms int64
	if !v.IsZero() {
		ms = v.UnixMilli()
	}
	c.number64(&ms)
	if c.reading && ms != 0 {
		*v = serializable(time.UnixMilli(ms).UTC())
	}
}

// The first and the last time that RFC 3339, and so JSON, can write.
var (
	firstTime = time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC)
	lastTime  = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

// serializable is a stored time, or the nearest one that can be written as JSON: a damaged row must not make every answer
// fail that it is part of.
func serializable(t time.Time) time.Time {
	switch {
	case t.Before(firstTime):
		return firstTime
	case t.After(lastTime):
		return lastTime
	}
	return t
}

func (c *codec) texts(v *map[string]string) {
	n := len(*v)
	c.number(&n)
	if n == 0 {
		return
	}
	if !c.reading {
		for _, name := range slices.Sorted(maps.Keys(*v)) {
			text := (*v)[name]
			c.text(&name)
			c.text(&text)
		}
		return
	}
	if n < 0 || n > len(c.rest) {
		c.err = errCodec
		return
	}
	*v = make(map[string]string, n)
	for range n {
		var name, text string
		c.text(&name)
		c.text(&text)
		(*v)[name] = text
	}
}

// document keeps what has no fixed fields, as JSON; v is a pointer, and present says whether there is anything.
func (c *codec) document(present bool, v any) {
	var text []byte
	if !c.reading && present {
		if text, c.err = json.Marshal(v); c.err != nil {
			return
		}
	}
	c.bytes(&text)
	if c.reading && c.err == nil && len(text) > 0 {
		c.err = json.Unmarshal(text, v)
	}
}
