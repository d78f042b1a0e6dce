package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
)

// An asset is a file that pages load. Its name has a hash of its content, so that browsers keep it and never ask again.
type asset struct {
	name        string // such as page.0123456789abcdef.css
	contentType string
	body        []byte
	compressed  []byte // by gzip
}

// pageAssets are the assets of the pages of one brand: the stylesheet ends with the colors of the brand.
type pageAssets struct{ style, script, keys, tools *asset }

// Style returns the name of the stylesheet's file. Templates call it.
func (a *pageAssets) Style() string { return a.style.name }

// Script returns the name of the script's file. Templates call it.
func (a *pageAssets) Script() string { return a.script.name }

// builtInAssets returns the assets without a brand, made once in a process. The script imports the others by their names.
var builtInAssets = sync.OnceValues(func() (*pageAssets, error) {
	style, errStyle := readAsset("page.css", "text/css; charset=utf-8", "%s")
	keys, errKeys := readAsset("keys.js", contentTypeScript, "export const askForKey = (() => {\n%s\nreturn askForKey;\n})();")
	tools, errTools := readAsset("tools.js", contentTypeScript, "export const activate = (() => {\n%s\nreturn activate;\n})();")
	script, errScript := readAsset("page.js", contentTypeScript, "(() => {\n%s\n})();")
	if err := errors.Join(errStyle, errKeys, errTools, errScript); err != nil {
		return nil, err
	}
	body := bytes.ReplaceAll(script.body, []byte("./keys.js"), []byte("./"+keys.name))
	body = bytes.ReplaceAll(body, []byte("./tools.js"), []byte("./"+tools.name))
	return &pageAssets{style, newAsset("page.js", contentTypeScript, body), keys, tools}, nil
})

// readAsset reads a file of the pages and shortens it: spaces, comments and the names of variables. The format has the file in place
// of %s; one that makes it a function makes its variables local, so that their names can be shortened.
func readAsset(name, contentType, format string) (*asset, error) {
	source, err := pageFiles.ReadFile("pages/" + name)
	if err != nil {
		return nil, err
	}
	source = bytes.ReplaceAll(source, []byte("\nexport "), []byte("\n")) // a function exports nothing
	shortener := minify.New()
	shortener.AddFunc("text/css", css.Minify)
	shortener.AddFunc("text/javascript", js.Minify)
	body, err := shortener.Bytes(contentType, fmt.Appendf(nil, format, source))
	if err != nil {
		return nil, fmt.Errorf("pages: %s: %w", name, err)
	}
	return newAsset(name, contentType, body), nil
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
	for _, a := range []*asset{assets.style, assets.script, assets.keys, assets.tools} {
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
