package server

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/tdewolff/minify/v2"
	"github.com/tdewolff/minify/v2/css"
	"github.com/tdewolff/minify/v2/js"
)

// An asset is a file that pages load. Its name has a hash of its content, so that browsers keep it and never ask again.
type asset struct {
	name        string // such as page.0123456789abcdef.css
	contentType string
	body        []byte
	shared      bool          // pages of every origin may import it
	gzip        func() []byte // body, compressed when it is first asked for
	brotli      func() []byte // the same by Brotli, which browsers accept over https
}

// etag returns the entity tag (RFC 9110 §8.8.3). It is weak, because it is the same for every encoding.
func (a *asset) etag() string { return `W/"` + a.name + `"` }

// pageAssets are the assets of the pages of one brand: the stylesheet ends with the colors of the brand. The element is the same for
// every brand, because the parts bring its colors.
type pageAssets struct{ style, script, keys, tools, element *asset }

// Style returns the name of the stylesheet's file. Templates call it.
func (a *pageAssets) Style() string { return a.style.name }

// Script returns the name of the script's file. Templates call it.
func (a *pageAssets) Script() string { return a.script.name }

// builtInAssets returns the assets without a brand, made once in a process. The script of the pages imports those for keys and tools by
// their names, when a page needs them. The element is one module, with its stylesheet as a text.
var builtInAssets = sync.OnceValues(func() (*pageAssets, error) {
	style, errStyle := readAsset("page.css", contentTypeStyle, "%s", "parts.css", "page.css")
	keys, errKeys := readAsset("keys.js", contentTypeScript, "export const controlKey = (() => {\n%s\nreturn controlKey;\n})();", "keys.js")
	tools, errTools := readAsset("tools.js", contentTypeScript, "export const makeTools = (() => {\n%s\nreturn makeTools;\n})();", "tools.js")
	script, errScript := readAsset("page.js", contentTypeScript, "(() => {\n%s\n})();", "parts.js", "page.js")
	element, errElement := readElement()
	if err := errors.Join(errStyle, errKeys, errTools, errScript, errElement); err != nil {
		return nil, err
	}
	body := bytes.ReplaceAll(script.body, []byte("./keys.js"), []byte("./"+keys.name))
	body = bytes.ReplaceAll(body, []byte("./tools.js"), []byte("./"+tools.name))
	return &pageAssets{style: style, script: newAsset("page.js", contentTypeScript, body), keys: keys, tools: tools, element: element}, nil
})

// readElement reads the files of the element.
func readElement() (*asset, error) {
	style, err := readAsset("element.css", contentTypeStyle, "%s", "element.css", "parts.css")
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(string(style.body))
	if err != nil {
		return nil, err
	}
	constant := strings.ReplaceAll(string(text), "%", "%%")
	element, err := readAsset("element.js", contentTypeScript, "(() => {\nconst css = "+constant+";\n%s\n})();", "parts.js", "keys.js", "tools.js", "element.js")
	if err != nil {
		return nil, err
	}
	element.shared = true
	return element, nil
}

// readAsset makes an asset of files of the pages and shortens it: spaces, comments and the names of variables. The format has the files
// in place of %s; one that makes them a function makes their variables local, so that their names can be shortened.
func readAsset(name, contentType, format string, files ...string) (*asset, error) {
	source, err := bundle(files)
	if err != nil {
		return nil, err
	}
	shortener := minify.New()
	shortener.AddFunc("text/css", css.Minify)
	shortener.AddFunc("text/javascript", js.Minify)
	body, err := shortener.Bytes(contentType, fmt.Appendf(nil, format, source))
	if err != nil {
		return nil, fmt.Errorf("pages: %s: %w", name, err)
	}
	return newAsset(name, contentType, body), nil
}

// bundle joins files, of which a later one uses the exports of the earlier ones: it removes their imports of each other, and the word
// export.
func bundle(files []string) ([]byte, error) {
	var out bytes.Buffer
	for _, name := range files {
		source, err := pageFiles.ReadFile("pages/" + name)
		if err != nil {
			return nil, err
		}
		for line := range bytes.Lines(source) {
			if !bytes.HasPrefix(line, []byte("import {")) {
				out.Write(bytes.TrimPrefix(line, []byte("export ")))
			}
		}
	}
	return out.Bytes(), nil
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
	return &asset{name: base + "." + hex.EncodeToString(sum[:8]) + "." + extension, contentType: contentType, body: body,
		gzip: sync.OnceValue(func() []byte { return compress(body) }), brotli: sync.OnceValue(func() []byte { return compressMore(body) })}
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

// compressMore compresses by Brotli (RFC 7932). The best level takes some milliseconds for a stylesheet, once for each brand.
func compressMore(body []byte) []byte {
	var out bytes.Buffer // accepts all writes
	w := brotli.NewWriterLevel(&out, brotli.BestCompression)
	_, _ = w.Write(body)
	_ = w.Close()
	return out.Bytes()
}

// serveAsset serves the assets of the brand at the request's host. While servers of two versions run side by side, a page of one can
// ask the other for a file: it gets the one that this server has, which browsers must not keep under that name.
func (ps *pageServer) serveAsset(x *exchange) {
	assets := ps.siteAssets(x.request)
	name := x.request.PathValue("name")
	for _, a := range []*asset{assets.style, assets.script, assets.keys, assets.tools, assets.element} {
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
	ps.server.serveNotFound(x)
}

func (x *exchange) writeAsset(a *asset) {
	body := a.body
	x.Header().Set("Vary", "Accept-Encoding")
	if a.shared {
		x.Header().Set("Access-Control-Allow-Origin", "*")
		x.Header().Set("Cross-Origin-Resource-Policy", "cross-origin")
	}
	switch {
	case acceptsCoding(x.request.Header, "br"):
		x.Header().Set("Content-Encoding", "br")
		body = a.brotli()
	case acceptsCoding(x.request.Header, "gzip"):
		x.Header().Set("Content-Encoding", "gzip")
		body = a.gzip()
	}
	x.writeBody(http.StatusOK, a.contentType, body)
}

// acceptsCoding reports whether Accept-Encoding (RFC 9110 §12.5.3) names a content coding without the weight 0.
func acceptsCoding(h http.Header, name string) bool {
	for _, value := range h.Values("Accept-Encoding") {
		for entry := range strings.SplitSeq(value, ",") {
			coding, weight, _ := strings.Cut(entry, ";")
			if strings.EqualFold(strings.TrimSpace(coding), name) {
				number, weighted := strings.CutPrefix(strings.TrimSpace(weight), "q=")
				return !weighted || strings.Trim(number, "0.") != ""
			}
		}
	}
	return false
}
