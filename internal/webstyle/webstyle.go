// Package webstyle holds the stylesheet that the tools of development mode share: the inbox and the playground. Its colors are those
// of the hosted pages.
package webstyle

import _ "embed" // for the stylesheets

//go:embed tokens.css
var tokens string

//go:embed tools.css
var tools string

// Tokens returns the CSS variables of the hosted pages' colors, for light and dark. A test of package server compares them with the
// stylesheet of the pages.
func Tokens() string { return tokens }

// Tools returns a stylesheet of the tools: the variables, then elements and classes that both tools use.
func Tools() string { return tokens + tools }
