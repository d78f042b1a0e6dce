package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
)

// The style and the scripts of the pages. Their names have a hash of their content, so that browsers keep them, and they are
// compressed once. Parts of the pages are not compressed: they have secrets beside what others write, and the length of what is
// compressed would reveal them.

// assets are the files, with the names of the style and of the script that every page loads. The shell has them.
type assets struct {
	Style, Script string
	files         map[string]assetFile // by name without the hash
}

type assetFile struct {
	name, contentType string
	content           compressed
}

// A compressed is a body that does not change, with its compressed form.
type compressed struct{ plain, gzipped []byte }

func compress(body []byte) (compressed, error) {
	var out bytes.Buffer
	w, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err == nil {
		_, err = w.Write(body)
	}
	if err == nil {
		err = w.Close()
	}
	return compressed{body, out.Bytes()}, err
}

// write responds with the form that the browser accepts.
func (c compressed) write(x *exchange, contentType string) {
	body := c.plain
	if acceptsGzip(x.request) {
		x.Header().Set("Content-Encoding", "gzip")
		body = c.gzipped
	}
	x.writeBody(http.StatusOK, contentType, body)
}

// loadAssets reads the files of the folder pages.
func loadAssets() (*assets, error) {
	a := &assets{files: map[string]assetFile{}}
	keys, err := a.add("keys.js", contentTypeScript, nil)
	if err == nil {
		a.Style, err = a.add("page.css", "text/css; charset=utf-8", nil)
	}
	if err == nil {
		a.Script, err = a.add("page.js", contentTypeScript, strings.NewReplacer("./keys.js", "./"+keys))
	}
	return a, err
}

// add reads a file, replaces names in it, and returns its name with the hash.
func (a *assets) add(name, contentType string, names *strings.Replacer) (string, error) {
	source, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		return "", err
	}
	text := shrink(string(source))
	if names != nil {
		text = names.Replace(text)
	}
	hash := sha256.Sum256([]byte(text))
	base, extension, _ := strings.Cut(name, ".")
	content, err := compress([]byte(text))
	if err != nil {
		return "", fmt.Errorf("pages: %s: %w", name, err)
	}
	f := assetFile{base + "." + hex.EncodeToString(hash[:8]) + "." + extension, contentType, content}
	a.files[name] = f
	return f.name, nil
}

// shrink removes indentation, empty lines and lines that are comments. In the files of the pages no text spans lines.
func shrink(source string) string {
	var out strings.Builder
	for line := range strings.Lines(source) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "//") || strings.HasPrefix(line, "/*") && strings.HasSuffix(line, "*/") {
			continue
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// serve responds with a file. A name with the hash of another version, which a server before or after this one has written into a
// page, gets the file of this version, which browsers do not keep.
func (a *assets) serve(x *exchange) {
	asked := x.request.PathValue("file")
	parts := strings.Split(asked, ".")
	f, ok := a.files[parts[0]+"."+parts[len(parts)-1]]
	if !ok || len(parts) > 3 {
		x.writeProblem(newError(codeNotFound))
		return
	}
	h := x.Header()
	if asked == f.name {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Vary", "Accept-Encoding")
	f.content.write(x, f.contentType)
}

// acceptsGzip reports whether a request lists gzip and does not refuse it (RFC 9110 §12.5.3).
func acceptsGzip(r *http.Request) bool {
	for coding := range strings.SplitSeq(strings.Join(r.Header.Values("Accept-Encoding"), ","), ",") {
		name, quality, _ := strings.Cut(coding, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return !strings.HasPrefix(strings.ReplaceAll(quality, " ", ""), "q=0") || strings.ContainsAny(quality, "123456789")
		}
	}
	return false
}
