// Package browsers names the browser and the system of a User-Agent header (RFC 9110 §10.1.5) for people.
package browsers

import "strings"

// A mark is a text in a User-Agent, and the name of the browser or system that has it. The first match counts, because browsers
// also name those that they are compatible with.
type mark struct{ text, name string }

var (
	browserMarks = []mark{
		{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"OPT/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
		{"Vivaldi/", "Vivaldi"}, {"YaBrowser/", "Yandex Browser"}, {"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"},
		{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
	}
	// Android and ChromeOS name Linux too, and iOS names Mac OS X.
	systemMarks = []mark{
		{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"}, {"Macintosh", "macOS"}, {"Linux", "Linux"},
	}
)

// Recognize returns the names of browser and system, empty if unknown. The names are from fixed lists: nothing of the User-Agent
// itself is returned, so that they can be shown to people.
func Recognize(userAgent string) (browser, system string) {
	return find(browserMarks, userAgent), find(systemMarks, userAgent)
}

func find(marks []mark, userAgent string) string {
	for _, m := range marks {
		if strings.Contains(userAgent, m.text) {
			return m.name
		}
	}
	return ""
}
