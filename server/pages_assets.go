package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"
)

// An asset is a file that pages load. Its name has a hash of its content, so that browsers keep it and never ask again.
type asset struct {
	name        string // such as page.0123456789abcdef.css
	contentType string
	body        []byte
	compressed  []byte // by gzip
	shared      bool   // pages of every origin may import it
}

// etag returns the entity tag (RFC 9110 §8.8.3). It is weak, because it is the same for every encoding.
func (a *asset) etag() string { return `W/"` + a.name + `"` }

// pageAssets are the assets of the pages of one brand: the stylesheet ends with the colors of the brand. The element is the same for
// every brand, because the parts bring its colors.
type pageAssets struct{ style, script, keys, element *asset }

// Style returns the name of the stylesheet's file. Templates call it.
func (a *pageAssets) Style() string { return a.style.name }

// Script returns the name of the script's file. Templates call it.
func (a *pageAssets) Script() string { return a.script.name }

// loadAssets returns the assets without a brand. The script of the pages imports the one for keys by its name, when a page needs it.
// The element is one module, with its stylesheet as a text.
func loadAssets() (*pageAssets, error) {
	loaded := map[string][]byte{}
	for _, name := range []string{"page.css", "parts.css", "element.css", "page.js", "parts.js", "keys.js", "element.js"} {
		body, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return nil, err
		}
		loaded[name] = shrink(body)
	}
	keys := newAsset("keys.js", contentTypeScript, loaded["keys.js"])
	script := bytes.ReplaceAll(bundle(loaded["parts.js"], loaded["page.js"]), []byte("./keys.js"), []byte("./"+keys.name))
	style, err := json.Marshal(string(slices.Concat(loaded["element.css"], loaded["parts.css"])))
	if err != nil {
		return nil, err
	}
	constant := slices.Concat([]byte("const css = "), style, []byte(";\n"))
	element := newAsset("element.js", contentTypeScript, bundle(constant, loaded["parts.js"], loaded["keys.js"], loaded["element.js"]))
	element.shared = true
	return &pageAssets{style: newAsset("page.css", "text/css; charset=utf-8", slices.Concat(loaded["parts.css"], loaded["page.css"])),
		script: newAsset("page.js", contentTypeScript, script), keys: keys, element: element}, nil
}

// bundle makes one module of several, which shrink has shortened and of which a later one uses the exports of the earlier ones: it
// removes their imports of each other, and the word export.
func bundle(modules ...[]byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(slices.Concat(modules...)) {
		if !bytes.HasPrefix(line, []byte("import {")) {
			out.Write(bytes.TrimPrefix(line, []byte("export ")))
		}
	}
	return out.Bytes()
}

// shrink removes indentation, empty lines and lines that are comments. In the files of the pages no text spans lines.
func shrink(source []byte) []byte {
	var out bytes.Buffer
	for line := range bytes.Lines(source) {
		line = bytes.TrimSpace(line)
		isComment := bytes.HasPrefix(line, []byte("//")) || bytes.HasPrefix(line, []byte("/*")) && bytes.HasSuffix(line, []byte("*/"))
		if len(line) > 0 && !isComment {
			out.Write(line)
			out.WriteByte('\n')
		}
	}
	return out.Bytes()
}

// withTheme returns the assets with other colors.
func (a *pageAssets) withTheme(theme map[string]string) *pageAssets {
	if theme == nil {
		return a
	}
	style := bytes.NewBuffer(bytes.Clone(a.style.body))
	style.WriteString(":root {")
	for _, name := range slices.Sorted(maps.Keys(theme)) {
		fmt.Fprintf(style, " %s: %s;", name, theme[name])
	}
	style.WriteString(" }\n")
	themed := *a
	themed.style = newAsset("page.css", a.style.contentType, style.Bytes())
	return &themed
}

func newAsset(name, contentType string, body []byte) *asset {
	sum := sha256.Sum256(body)
	base, extension, _ := strings.Cut(name, ".")
	return &asset{name: base + "." + hex.EncodeToString(sum[:8]) + "." + extension, contentType: contentType, body: body, compressed: compress(body)}
}

// gzipWriters holds the compressors, which are large.
var gzipWriters = sync.Pool{New: func() any {
	w, _ := gzip.NewWriterLevel(nil, gzip.BestCompression) // fails for other levels only
	return w
}}

// compress compresses by gzip.
func compress(body []byte) []byte {
	w := gzipWriters.Get().(*gzip.Writer)
	defer gzipWriters.Put(w)
	var out bytes.Buffer // accepts all writes
	w.Reset(&out)
	_, _ = w.Write(body)
	_ = w.Close()
	return out.Bytes()
}

// serveAsset serves the assets of the brand at the request's host. While servers of two versions run side by side, a page of one can
// ask the other for a file: it gets the one that this server has, which browsers must not keep under that name.
func (ps *pageServer) serveAsset(x *exchange) {
	assets := ps.siteAssets(x.request)
	name := x.request.PathValue("name")
	for _, a := range []*asset{assets.style, assets.script, assets.keys, assets.element} {
		base, rest, _ := strings.Cut(a.name, ".")
		if !strings.HasPrefix(name, base+".") || path.Ext(name) != path.Ext(rest) {
			continue
		}
		if name == a.name {
			x.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		x.writeAsset(a)
		return
	}
	x.writeProblem(newError(codeNotFound))
}

func (x *exchange) writeAsset(a *asset) {
	body := a.body
	x.Header().Set("Vary", "Accept-Encoding")
	if a.shared {
		x.Header().Set("Access-Control-Allow-Origin", "*")
		x.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	if acceptsGzip(x.request.Header) {
		x.Header().Set("Content-Encoding", "gzip")
		body = a.compressed
	}
	x.writeBody(http.StatusOK, a.contentType, body)
}

// acceptsGzip reports whether Accept-Encoding (RFC 9110 §12.5.3) names gzip without the weight 0.
func acceptsGzip(h http.Header) bool {
	for _, value := range h.Values("Accept-Encoding") {
		for entry := range strings.SplitSeq(value, ",") {
			coding, weight, _ := strings.Cut(entry, ";")
			if strings.EqualFold(strings.TrimSpace(coding), "gzip") {
				number, weighted := strings.CutPrefix(strings.TrimSpace(weight), "q=")
				return !weighted || strings.Trim(number, "0.") != ""
			}
		}
	}
	return false
}
