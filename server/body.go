package server

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
)

// maxBody is the largest request body, in bytes.
const maxBody = 64 << 10

// bodyField is the field name for the request body as a whole.
const bodyField = "body"

// firstBuffer is the size of the buffer for a body of unknown length, and the most that is allocated before a byte of a body has
// arrived.
const firstBuffer = 4 << 10

// readBody returns the body of a request, empty if there is none. Its errors are invalid_request. It does not read a body
// whose Content-Length exceeds the limit.
func (x *exchange) readBody() ([]byte, error) {
	r := x.request
	if r.ContentLength > maxBody {
		return nil, invalidField(bodyField, "is longer than 64 KiB")
	}
	if r.ContentLength == 0 {
		return nil, nil
	}
	client := connectionOf(r)
	client.waitForClient()
	defer client.serve()
	// MaxBytesReader asks the server's own ResponseWriter to close the connection after a body that is too long. It does not
	// unwrap others, and then the server would read on before it responds.
	text, err := readAll(http.MaxBytesReader(x.ResponseWriter, r.Body, maxBody), r.ContentLength)
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, invalidField(bodyField, "is longer than 64 KiB")
	case err != nil:
		return nil, invalidField(bodyField, "could not be read completely")
	}
	return text, nil
}

// longBodies holds buffers for bodies of more than firstBuffer, so that a body that is refused costs no new memory. They have one byte
// more than a body, so that a body never fills them.
var longBodies = sync.Pool{New: func() any { return new([maxBody + 1]byte) }}

// readAll reads a body of the given length, or of unknown length if that is negative. It takes a long buffer when firstBuffer has
// arrived, so that a length that is announced and never sent takes no memory. It reads at most maxBody.
func readAll(body io.Reader, length int64) ([]byte, error) {
	if length >= 0 && length <= firstBuffer {
		text := make([]byte, length)
		_, err := io.ReadFull(body, text)
		return text, err
	}
	text := make([]byte, firstBuffer)
	n, err := fill(text, body)
	if err == nil {
		long := longBodies.Get().(*[maxBody + 1]byte)
		defer longBodies.Put(long)
		copy(long[:], text)
		var more int
		more, err = fill(long[n:], body)
		n += more
		if err == io.EOF {
			text = bytes.Clone(long[:n])
		}
	}
	switch {
	case err != io.EOF:
		return nil, err
	case int64(n) < length:
		return nil, io.ErrUnexpectedEOF
	}
	return text[:n], nil
}

// fill reads until the buffer is full or the body has ended or failed. It returns io.EOF at the end, unlike io.ReadFull, which cannot
// tell an end from a connection that breaks.
func fill(buffer []byte, body io.Reader) (n int, err error) {
	for n < len(buffer) && err == nil {
		var more int
		more, err = body.Read(buffer[n:])
		n += more
	}
	return n, err
}

// maxNesting is how many objects and lists may contain each other. Requests have no more than three, credentials about five.
const maxNesting = 32

// cutDeepNesting returns the beginning of a JSON document before it exceeds maxNesting, and all of it if it does not. The decoder
// stops only at 10,000, and keeps the names of each object until then, which costs twenty times the size of the document.
func cutDeepNesting(text []byte) []byte {
	if bytes.Count(text, []byte{'{'})+bytes.Count(text, []byte{'['}) <= maxNesting {
		return text
	}
	depth, quoted := 0, false
	for n := 0; n < len(text); n++ {
		switch c := text[n]; {
		case quoted && c == '\\':
			n++ // the escaped character
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return text[:n]
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return text
}

// checkContentType requires application/json. The only charset that it accepts is UTF-8, that of JSON (RFC 8259 §8.1).
func checkContentType(h http.Header) error {
	values := h["Content-Type"]
	if len(values) == 1 && values[0] == contentTypeJSON {
		return nil
	}
	if len(values) == 1 {
		media, parameters, err := mime.ParseMediaType(values[0])
		charset, given := parameters["charset"]
		if err == nil && media == contentTypeJSON && (!given && len(parameters) == 0 || len(parameters) == 1 && strings.EqualFold(charset, "utf-8")) {
			return nil
		}
	}
	return invalidField("Content-Type", "must be application/json")
}
