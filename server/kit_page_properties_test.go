package server_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// A pageCondition is a setting that people use pages with, and an expression that returns what is wrong in it.
type pageCondition struct {
	name     string
	set      func(*tab)
	problems string
}

// Nothing is beyond the edges of the screen, nothing is cut off, and the digits of a code are in their boxes (WCAG 2.2, 1.4.4, 1.4.10).
const outsideTheScreen = `(() => {
	const out = [], wide = document.documentElement.clientWidth
	if (document.documentElement.scrollWidth > wide) out.push("the page is " + document.documentElement.scrollWidth + " wide on " + wide)
	for (const e of document.querySelectorAll("main *")) {
		if (!e.checkVisibility() || e.closest(".code, svg")) continue
		const box = e.getBoundingClientRect(), name = e.outerHTML.slice(0, 90)
		if (box.width > 0 && (box.right > wide + 1 || box.left < -1)) out.push(name + " is outside the screen")
		if (getComputedStyle(e).overflowX !== "visible" && e.tagName !== "INPUT" && e.scrollWidth > e.clientWidth + 1) out.push(name + " is cut off")
	}
	if (new Set([...document.querySelectorAll(".code i")].map(i => i.offsetTop)).size > 1) out.push("the boxes are in more than one row")
	const groups = [...document.querySelectorAll("#secret span")].filter(e => e.checkVisibility()).map(e => e.getBoundingClientRect())
	for (let n = 1; n < groups.length; n++) if (groups[n].top === groups[n-1].top && groups[n].left < groups[n-1].left) out.push("the key is written from right to left")
	for (const e of document.querySelectorAll(".code:has(i) input")) if (parseFloat(getComputedStyle(e).letterSpacing) < 0) out.push("the digits are wider than their boxes")
	return out
})()`

// With forced colors, backgrounds and shadows are gone: controls and messages need a border, and links a line.
const withoutEdges = `(() => {
	const out = [], bordered = s => parseFloat(s.borderTopWidth) > 0 && s.borderTopStyle !== "none"
	for (const e of document.querySelectorAll("main :is(button, a, input:not([type=hidden], [type=checkbox]), .error, .notice, .number)")) {
		const style = getComputedStyle(e), boxes = e.parentElement.querySelectorAll(":scope > span > i")
		if (!e.checkVisibility() || e.disabled || e.matches(":empty:not(input)")) continue
		const edges = boxes.length ? [...boxes].every(i => bordered(getComputedStyle(i))) : bordered(style)
		if (!edges && !style.textDecorationLine.includes("underline")) out.push(e.outerHTML.slice(0, 90) + " has neither a border nor a line")
	}
	for (const e of document.querySelectorAll("svg.sign")) if (getComputedStyle(e).stroke === getComputedStyle(e.querySelector("circle")).fill) out.push("a sign cannot be seen")
	return out
})()`

// pageConditions are what every state is checked in.
var pageConditions = []pageCondition{
	{"320 pixels", func(p *tab) { p.resize(screen{width: 320, height: 640}) }, outsideTheScreen},
	{"text spacing at 320 pixels", func(p *tab) { setTextSpacing(p, true) }, outsideTheScreen},
	{"390 pixels with text of 200 %", func(p *tab) { setTextSpacing(p, false); p.resize(phone); p.enlargeText(2) }, largeText + outsideTheScreen},
	{"1280 pixels with text of 200 %", func(p *tab) { p.resize(desktop) }, outsideTheScreen},
	{"1280 pixels zoomed to 200 %", func(p *tab) { p.enlargeText(1); p.do(chromedp.EmulateViewport(640, 400, chromedp.EmulateScale(2))) }, outsideTheScreen},
	{"forced colors", func(p *tab) { p.resize(desktop); p.prefer("forced-colors", "active") }, withoutEdges},
	{"reduced motion", func(p *tab) { p.prefer("prefers-reduced-motion", "reduce") },
		`document.getAnimations().filter(a => a.playState === "running" && a.effect.getComputedTiming().activeDuration > 0).map(a => a.animationName + " moves")`},
}

// largeText is an expression that fails if the browser did not enlarge the text.
const largeText = `getComputedStyle(document.documentElement).fontSize !== "32px" ? ["the text has " + getComputedStyle(document.documentElement).fontSize] : `

// enlargeText sets the size of text that a person has chosen in the browser.
func (p *tab) enlargeText(factor int64) {
	p.t.Helper()
	callBrowser(p, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: 16 * factor, Fixed: 13 * factor}})
}

// setTextSpacing sets the spacing that pages must bear (WCAG 2.2, 1.4.12).
func setTextSpacing(p *tab, on bool) {
	p.t.Helper()
	evaluate[bool](p, `(() => { const s = new CSSStyleSheet()
		s.replaceSync("* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important } p { margin-bottom: 2em !important }")
		document.adoptedStyleSheets = `+map[bool]string{true: "[s]", false: "[]"}[on]+`; return true })()`)
}

// checkKeyboard requires that Tab reaches every control, and that each shows that it has the focus.
func checkKeyboard(t *testing.T, p *tab) {
	t.Helper()
	count := evaluate[int](p, `(() => {
		window.unreached = new Set([...document.querySelectorAll("main :is(a[href], button:not([disabled]), input:not([type=hidden]), summary)")].filter(e => e.checkVisibility()))
		window.unmarked = []
		window.mark = () => {
			const e = document.activeElement, boxes = e.parentElement.querySelectorAll(":scope > span > i"), ring = s => s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 2
			if (!unreached.delete(e)) return
			if (boxes.length ? getComputedStyle(boxes[0]).boxShadow === "none" : !ring(getComputedStyle(e))) unmarked.push(e.outerHTML.slice(0, 90) + " does not show the focus")
		}
		return unreached.size })()`)
	for range 2*count + 4 {
		p.do(chromedp.KeyEvent("\t"))
		if evaluate[int](p, `mark(), unreached.size`) == 0 {
			break
		}
	}
	for _, problem := range evaluate[[]string](p, `[...unreached].map(e => e.outerHTML.slice(0, 90) + " is not reached by keys").concat(unmarked)`) {
		t.Error(problem)
	}
}

// checkHeading requires one heading, which the title of the tab has too.
func checkHeading(t *testing.T, p *tab) {
	t.Helper()
	headings := evaluate[[]string](p, `[...document.querySelectorAll("h1")].filter(e => e.checkVisibility()).map(e => e.innerText.trim())`)
	title := evaluate[string](p, "document.title")
	if len(headings) != 1 || !strings.Contains(title, headings[0]) {
		t.Errorf("the headings are %q and the title is %q", headings, title)
	}
}

// checkWords requires no text twice, and no English text in another language.
func checkWords(t *testing.T, p *tab, untranslated []string) {
	t.Helper()
	text := p.innerText("main")
	seen := map[string]bool{}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); utf8.RuneCountInString(line) > 24 && seen[line] {
			t.Errorf("%q is there twice", line)
		}
		seen[line] = true
	}
	for _, english := range untranslated {
		if strings.Contains(text, english) {
			t.Errorf("%q is not translated", english)
		}
	}
}

// untranslatedWords returns the English texts, and their parts between values, that a page of another language must not have.
func untranslatedWords(t *testing.T, locale string) (out []string) {
	t.Helper()
	if locale == "en" {
		return nil
	}
	data, err := os.ReadFile("pages/text.en.json")
	must(t, err)
	var texts map[string]string
	must(t, json.Unmarshal(data, &texts))
	for _, text := range texts {
		for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '{' || r == '}' }) {
			if part = strings.TrimSpace(part); len(part) > 12 {
				out = append(out, part)
			}
		}
	}
	slices.Sort(out)
	return out
}
