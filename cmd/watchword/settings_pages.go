package main

import (
	"fmt"
	"io/fs"
	"os"

	"github.com/watchword-auth/watchword/server"
)

// readPages reads the look and the texts of the hosted pages. It also passes on how links are confirmed, which pages and strategy must
// agree on.
func (c *checker) readPages(where string, a appConfig) server.Pages {
	where += ".pages"
	p := server.Pages{Color: a.Pages.Color, ColorDark: a.Pages.ColorDark, URL: a.Pages.URL, Texts: c.readTexts(where+".texts", a.Pages.Texts),
		ButtonConfirms: confirmsByButton(a.Links.Confirm)}
	var ok bool
	if p.Logo, ok = c.readLogo(where+".logo", a.Pages.Logo); ok {
		p.LogoDark, _ = c.readLogo(where+".logo_dark", a.Pages.LogoDark)
	}
	return p
}

// readLogo returns the content of a file, nil for an empty path. It reports whether there was no problem.
func (c *checker) readLogo(where, path string) (image []byte, ok bool) {
	if path == "" {
		return nil, true
	}
	image, err := os.ReadFile(c.resolvePath(path))
	c.addError(where, err)
	return image, err == nil
}

// readTexts reads the texts of a folder, or returns nil for the built-in ones.
func (c *checker) readTexts(where, folder string) *server.Translations {
	if folder == "" {
		return nil
	}
	files, err := openFolder(c.resolvePath(folder))
	if err != nil {
		c.addError(where, err)
		return nil
	}
	texts, err := server.LoadTranslations(files)
	c.addError(where, err)
	return texts
}

// openFolder returns the files of a folder that exists.
func openFolder(path string) (fs.FS, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no folder", path)
	}
	return os.DirFS(path), err
}
