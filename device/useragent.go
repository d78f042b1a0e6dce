package device

import "strings"

// A mark is a product or a word in user agents (RFC 9110 §10.1.5) and the name that people know.
type mark struct{ text, name string }

// browsers are in the order in which they are searched for: most browsers also name the ones that they are compatible with.
var browsers = []mark{
	{"Edg/", "Edge"}, {"EdgA/", "Edge"}, {"EdgiOS/", "Edge"}, {"OPR/", "Opera"}, {"OPT/", "Opera"}, {"SamsungBrowser/", "Samsung Internet"},
	{"Vivaldi/", "Vivaldi"}, {"YaBrowser/", "Yandex Browser"}, {"DuckDuckGo/", "DuckDuckGo"}, {"Ddg/", "DuckDuckGo"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"}, {"CriOS/", "Chrome"}, {"Chrome/", "Chrome"}, {"Safari/", "Safari"},
}

// systems are in the order in which they are searched for: Android and ChromeOS name Linux too, and iOS names Mac OS X.
var systems = []mark{
	{"iPhone", "iPhone"}, {"iPad", "iPad"}, {"Android", "Android"}, {"CrOS", "ChromeOS"}, {"Windows", "Windows"},
	{"Macintosh", "macOS"}, {"Linux", "Linux"},
}

// parseUserAgent returns the names of the browser and of the system in a user agent; empty where they are not known.
func parseUserAgent(text string) (browser, system string) {
	return find(browsers, text), find(systems, text)
}

func find(marks []mark, text string) string {
	for _, m := range marks {
		if strings.Contains(text, m.text) {
			return m.name
		}
	}
	return ""
}

// nameOf returns the name of a device in listings.
func nameOf(browser, system string) string {
	switch {
	case browser != "" && system != "":
		return browser + " on " + system
	case browser+system != "":
		return browser + system
	}
	return "Unknown browser"
}
