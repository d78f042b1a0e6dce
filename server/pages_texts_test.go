package server_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/server"
)

// arabic are the texts of an app that added a language.
func arabic(t testing.TB) *server.Translations {
	t.Helper()
	texts, err := server.LoadTranslations(os.DirFS("testdata/texts"))
	must(t, err)
	return texts
}

func textFiles(files map[string]string) fs.FS {
	out := fstest.MapFS{}
	for name, content := range files {
		out[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return out
}

func TestLoadTranslationsReportsEveryProblem(t *testing.T) {
	long := strings.Repeat("ä", 600)
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"names of files": {map[string]string{"texts.yaml": "a", "DE": "{}", "more/de.json": "{}", "..data": "a"},
			[]string{"texts.yaml: is not named like LANGUAGE.json", "DE: is not named like LANGUAGE.json", "more: is not named like LANGUAGE.json"}},
		"not a language":   {map[string]string{"q.json": "{}", "deutsch-land.json": "{}"}, []string{"q.json: is not named like LANGUAGE.json", "deutsch-land.json: is no language (BCP 47)"}},
		"an array":         {map[string]string{"de.json": `["wait"]`}, []string{"de.json: is not a JSON object"}},
		"nothing":          {map[string]string{"de.json": ``}, []string{"de.json: is not a JSON object"}},
		"unfinished":       {map[string]string{"de.json": `{"wait": "a"`}, []string{"de.json: is not JSON: "}},
		"twice":            {map[string]string{"de.json": `{"wait": "a", "wait": "b"}`}, []string{`de.json: "wait" is there twice`}},
		"more than one":    {map[string]string{"de.json": `{"wait": "a"} {}`}, []string{"de.json: has something after the JSON object"}},
		"a number":         {map[string]string{"de.json": `{"wait": 1}`}, []string{`de.json: "wait": `}},
		"null":             {map[string]string{"de.json": `{"wait": null}`}, []string{`de.json: "wait": is empty`}},
		"too large":        {map[string]string{"de.json": strings.Repeat(" ", 256<<10) + "{}"}, []string{"de.json: has 262146 bytes; the maximum is 262144"}},
		"unknown texts":    {map[string]string{"de.json": `{"wiat": "a", "Purpose_x": "b", "purpose_": "c", "purposes_x": "d"}`}, []string{`"wiat": there is no such text`, `"Purpose_x": there is no such text`, `"purpose_": there is no such text`, `"purposes_x": there is no such text`}},
		"bad texts":        {map[string]string{"de.json": `{"wait": " ", "title": "a\nb", "broken": "` + long + `"}`}, []string{`"wait": is empty`, `"title": contains a control character`, `"broken": has 1200 bytes; the maximum is 1000`}},
		"braces":           {map[string]string{"de.json": `{"wait": "{app}", "approved": "{app", "browser_on": "{browser} {System}", "purpose_x": "{app}"}`}, []string{`"wait": may have no other words in braces than none`, `"approved": may have no other words in braces than {app}`, `"browser_on": may have no other words in braces than {browser}, {system}`, `"purpose_x": may have no other`}},
		"a language alone": {map[string]string{"nl.json": `{"wait": "Een ogenblik…"}`}, []string{"nl.json: texts are missing: account, approve, ", ", unknown_title"}},
		"two files":        {map[string]string{"de.json": `{"wiat": "a"}`, "fr.json": `{"wiat": "a"}`}, []string{`de.json: "wiat"`, `fr.json: "wiat"`}},
	} {
		_, err := server.LoadTranslations(textFiles(c.files))
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in %.300q", name, want, err)
			}
		}
	}
	if _, err := server.LoadTranslations(os.DirFS("testdata/nowhere")); err == nil {
		t.Error("a folder that does not exist")
	}
}

// A file can replace single texts of a built-in language, and add a variant of one.
func TestPagesShowTheTextsOfTheApp(t *testing.T) {
	texts, err := server.LoadTranslations(textFiles(map[string]string{"..2026": "a link of a ConfigMap",
		"de.json": "\ufeff" + `{"wait": "<b>Moment</b>", "purpose_close_account": "Konto \"A&B\" schließen", "transaction_iban": "Konto"}`}))
	must(t, err)
	s := newSite(t, siteOptions{pages: server.Pages{Texts: texts}})
	v := s.newPageClient()
	if got := v.get("/c/ch_x", "Accept-Language", "de").text; !strings.Contains(got, "&lt;b&gt;Moment&lt;/b&gt;") {
		t.Errorf("the shell has not the app's text as text: %s", got)
	}
	if got := v.get("/c/ch_x", "Accept-Language", "fr").text; strings.Contains(got, "Moment<") {
		t.Errorf("another language changed: %s", got)
	}
	c := s.startLink(func(q *watchword.StartRequest) {
		q.Locale, q.Purpose, q.Transaction = "de", "close_account", map[string]string{"iban": "DE89 3704", "note": "x"}
	})
	v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, 200, "Konto &#34;A&amp;B&#34; schließen", "<dt>Konto</dt>", "<dt>Note</dt>")
}

func TestPagesRightToLeft(t *testing.T) {
	s := newSite(t, siteOptions{pages: server.Pages{Texts: arabic(t)}})
	v := s.newPageClient()
	if got := v.get("/c/ch_x", "Accept-Language", "ar-EG,ar;q=0.9,en;q=0.8").text; !strings.Contains(got, `<html lang="ar" dir="rtl">`) {
		t.Errorf("the shell: %.100s", got)
	}
	if got := v.get("/c/ch_x", "Accept-Language", "he,en;q=0.8").text; !strings.Contains(got, `<html lang="en" dir="ltr">`) {
		t.Errorf("the shell in a language without texts: %.100s", got)
	}
	c := s.startLink(func(q *watchword.StartRequest) {
		q.Locale, q.Purpose, q.Transaction = "ar", "approve_payment", map[string]string{"reference": "RF18 5390", "payee": "شركة (أمل)"}
	})
	got := v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, 200,
		"الموافقة على دفعة", "<bdi>RF18 5390</bdi>", "<bdi>شركة (أمل)</bdi>", "\u2068Example Shop\u2069")
	if !strings.Contains(got.text, `"dir":"rtl"`) {
		t.Errorf("the part: %.200s", got.text)
	}
}

func TestBuiltInTextsAreComplete(t *testing.T) {
	files, err := fs.Glob(os.DirFS("pages"), "text.*.json")
	must(t, err)
	if want := []string{"text.de.json", "text.en.json", "text.es.json", "text.fr.json", "text.pt.json", "text.zh.json"}; !slices.Equal(files, want) {
		t.Errorf("%q", files)
	}
	if _, err := server.LoadTranslations(nil); err != nil {
		t.Error(err)
	}
}

// French has a no-break space before colons and a narrow one before question marks; Spanish has opening marks; Chinese has full-width
// marks without spaces around them.
func TestBuiltInTextsHavePunctuationOfTheirLanguage(t *testing.T) {
	for language, wrong := range map[string]string{
		"fr": `[^\x{a0}]:|[^\x{202f}][?!;]|\x{ab}[^\x{a0}\x{202f}]`, "es": `^[^¿]*\?|^[^¡]*!`, "zh": `\p{Han}\s*[,.:;?!()]|[,:;?!()]\s*\p{Han}|[，。：？！；（）] | [，。：？！；（）]`,
	} {
		content, err := os.ReadFile("pages/text." + language + ".json")
		must(t, err)
		texts, pattern := map[string]string{}, regexp.MustCompile(wrong)
		must(t, json.Unmarshal(content, &texts))
		for name, text := range texts {
			if found := pattern.FindString(text); found != "" {
				t.Errorf("%s: %s: %q in %q", language, name, found, text)
			}
		}
	}
}
