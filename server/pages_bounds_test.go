package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

// readEvents opens the event stream of a challenge's page and reads until it has received text.
func (v *pageClient) readEvents(path, text string) string {
	v.s.t.Helper()
	ctx, cancel := context.WithTimeout(v.s.t.Context(), stepTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.s.web.URL+path, nil)
	must(v.s.t, err)
	w, err := v.http.Do(r)
	must(v.s.t, err)
	defer func() { _ = w.Body.Close() }()
	var got []byte
	for piece := make([]byte, 4096); !bytes.Contains(got, []byte(text)); {
		n, err := w.Body.Read(piece)
		if got = append(got, piece[:n]...); err != nil {
			break
		}
	}
	return string(got)
}

func TestEventStreamReportsDeliveryAndEnd(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.openPage(c)
	must(t, s.engine.RecordDelivery(t.Context(), s.outbox.messages[0], watchword.Delivery{Status: watchword.DeliveryFailed}))
	if got := v.readEvents(c.page+"/events", "event: note"); !strings.Contains(got, "couldn’t deliver") {
		t.Errorf("after a failed delivery: %s", got)
	}
	go func() {
		_ = s.engine.Answer(context.Background(), c.ID, watchword.Answer{Text: c.token, Starter: true}, watchword.Client{})
	}()
	got := v.readEvents(c.page+"/events", "\n\n\n")
	if !strings.HasSuffix(got, "\n\n") || strings.Count(got, "event: part") != 1 || !strings.Contains(got, `"next":"`+s.app.web.URL+`/done?challenge=`+c.ID+`\u0026return_code=rc_`) || strings.Contains(got, "receipt") {
		t.Errorf("the end: %s", got)
	}
	s.newPageClient().get(c.page+"/events").want(t, http.StatusNotFound)
}

func TestEventStreamsAreBounded(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.openPage(c)
	release := s.server.FillStreams("shop")
	v.get(c.page+"/events").want(t, http.StatusServiceUnavailable)
	v.get(c.page+"/state").want(t, http.StatusOK)
	release()
	_, err := s.engine.Cancel(t.Context(), c.ID)
	must(t, err)
	v.get(c.page+"/events").want(t, http.StatusOK)
	if n := s.server.StreamCount("shop"); n != 0 {
		t.Errorf("%d streams are still counted", n)
	}
}

func TestPagesReportUnavailableStore(t *testing.T) {
	store := &faultyStore{}
	s := newSite(t, siteOptions{engine: func(c *watchword.Config) { c.Store = store }})
	store.Store = memory.New(memory.Config{Clock: s.clock.Now})
	c := s.startLink()
	v := s.openPage(c)
	store.failAll.Store(true)
	for _, got := range []pageResponse{v.get(c.page + "/state"), v.post(c.page+"/answer", map[string]string{"answer": c.code}), v.post(c.page+"/resend", nil), v.post(c.page+"/cancel", nil),
		v.post(c.page+"/open", map[string]string{"ticket": c.Ticket.Reveal()}), v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}),
		v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}), v.post("/l/"+c.ID+"/report", map[string]string{"token": c.token})} {
		got.want(t, http.StatusServiceUnavailable, "Something went wrong")
	}
	v.form("/l/"+c.ID, "code="+c.code+"&number="+c.number).want(t, http.StatusServiceUnavailable)
	store.failAll.Store(false)
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": c.number}).want(t, http.StatusOK)
}

func TestStartRejectsForeignReturnURLs(t *testing.T) {
	s := newSite(t, siteOptions{public: "https://verify.example.com", engine: func(c *watchword.Config) {
		c.ReturnOrigins = []string{"https://app.example.com", "https://app.example.com:8443"}
	}})
	start := func(url string) (int, string) {
		body, err := json.Marshal(map[string]string{"strategy": "magiclink", "purpose": "sign_in", "to": "ada@example.com", "return_url": url})
		must(t, err)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.web.URL+"/v1/challenges", bytes.NewReader(body))
		must(t, err)
		r.Header.Set("Authorization", "Bearer "+shopKey)
		r.Header.Set("Content-Type", "application/json")
		w, err := http.DefaultClient.Do(r)
		must(t, err)
		defer func() { _ = w.Body.Close() }()
		text, err := io.ReadAll(w.Body)
		must(t, err)
		return w.StatusCode, string(text)
	}
	for _, good := range []string{"https://app.example.com", "https://app.example.com/done?x=1&y=%2F", "https://app.example.com:8443/done"} {
		if status, text := start(good); status != http.StatusCreated {
			t.Errorf("%q: %d %s", good, status, text)
		}
	}
	foreign := []string{
		"https://app.example.com@evil.example/", "https://app.example.com:443@evil.example/", "https://app.example.com%40evil.example/", "https://user@app.example.com/", "https://:@app.example.com/",
		"https://app.example.com.evil.example/", "https://evil.example/app.example.com", "https://evil.example/?https://app.example.com", "https://evil.example/#https://app.example.com/", "https://evilapp.example.com/",
		"https://app.example.com./", "https://app.example.com../", "https://APP.example.com/", "HTTPS://app.example.com/", "http://app.example.com/",
		`https://app.example.com\.evil.example/`, `https:\\app.example.com/`, `https:/\evil.example/`, `https://evil.example\@app.example.com/`, `\\evil.example\`,
		"//evil.example/", "///evil.example/", "/done", "done", "https:app.example.com/", "https:///app.example.com/", "://app.example.com/",
		"javascript:alert(1)", "javascript://app.example.com/%0aalert(1)", "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "blob:https://app.example.com/1", "file:///etc/passwd",
		"https://app.example.com\t@evil.example/", "https://app.example.com\n.evil.example/", "\x00https://app.example.com/", " https://app.example.com/", "java\tscript:alert(1)",
		"https://app.example.com:80443/", "https://app.example.com:444/", "https://app.example.com:/", "https://app.example.com:08443/",
		"https://аpp.example.com/", "https://app。example.com/", "https://xn--pp-7lc.example.com/", "https://app%2eexample.com/", "https://app.example.com%2f.evil.example/", "https://[::1]/", "https://2130706433/",
		"https://app.example.com|evil.example/", "https://app.example.com;evil.example/", "https://app.example.com,evil.example/", "https://app.example.com/" + strings.Repeat("a", 2100),
	}
	for _, bad := range foreign {
		if status, text := start(bad); status != http.StatusBadRequest || !strings.Contains(text, `"field":"return_url"`) || strings.Contains(text, "evil") {
			t.Errorf("%q: %d %s", bad, status, text)
		}
	}
	if len(foreign) < 40 {
		t.Errorf("only %d URLs", len(foreign))
	}
}

func TestNewChecksPageAppearance(t *testing.T) {
	var picture bytes.Buffer
	must(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 8, 8))))
	for name, p := range map[string]server.Pages{"a color": {Color: "#123abc"}, "a PNG": {Logo: picture.Bytes()}, "an SVG": {Logo: []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`)}} {
		s := newSite(t, siteOptions{pages: p})
		c := s.startLink()
		v := s.newPageClient()
		got := v.post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).want(t, http.StatusOK)
		if p.Logo != nil && !strings.Contains(got.html, `alt="Example Shop"`) {
			t.Errorf("%s: %s", name, got.text)
		}
		page := v.get("/l/"+c.ID).want(t, http.StatusOK)
		style := v.get("/"+stylesheet.FindStringSubmatch(page.text)[1]).want(t, http.StatusOK)
		if p.Color != "" && !strings.Contains(style.text, "--button: light-dark(#123abc, #4161c9)") {
			t.Errorf("%s: the stylesheet has other colors", name)
		}
	}
	ts := newTestServer(t, serverOptions{})
	for name, p := range map[string]server.Pages{"a word": {Color: "red"}, "too short": {Color: "#fff"}, "more": {Color: "#ffffff;}"}, "no picture": {Logo: []byte("<script>")},
		"a huge one": {Logo: append(picture.Bytes(), make([]byte, 1<<14)...)}} {
		apps := validApps(t, ts)
		apps[0].Pages = p
		if _, err := server.New(server.Config{Apps: apps}); err == nil || !strings.Contains(err.Error(), "Pages.") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPagesEnforceCheckLimits(t *testing.T) {
	var throttle *ratelimit.Throttle
	s := newSite(t, siteOptions{engine: func(c *watchword.Config) {
		var err error
		throttle, err = ratelimit.NewThrottle([]ratelimit.Rule{{Name: "one", Limit: 1, Window: 90 * time.Second, By: ratelimit.ByApp}},
			ratelimit.ThrottleConfig{Now: c.Clock})
		must(t, err)
		c.Checks = throttle
	}})
	c := s.startLink()
	v := s.openPage(c)
	if refused := throttle.Allow(watchword.Bucket{By: ratelimit.ByApp, Key: s.engine.App()}); refused != nil {
		t.Fatal(refused)
	}
	got := v.post(c.page+"/answer", map[string]string{"answer": c.code}).want(t, http.StatusTooManyRequests, "Try again in 2\u00a0min", c.number)
	if got.header.Get("Retry-After") != "90" {
		t.Errorf("Retry-After is %q", got.header.Get("Retry-After"))
	}
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusTooManyRequests, "Try again in 2\u00a0min")
	s.clock.advance(90 * time.Second)
	v.post("/l/"+c.ID+"/answer", map[string]string{"token": c.token}).want(t, http.StatusOK)
}

func TestPagesRejectMalformedAnswers(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	v := s.openPage(c)
	for _, body := range []string{`{}`, `{"answer":""}`, `{"answer":null}`, `{"answer":7}`, `{"answer":["` + c.code + `"]}`, `{"answer":{"id":"x"}}`, `{"answer":"1","answer":"` + c.code + `"}`,
		`{"Answer":"` + c.code + `"}`, `{"answer":"` + c.code + `","starter":true}`, `{"answer":"` + c.code + `"}{}`, `"` + c.code + `"`, strings.Repeat(" ", 1<<17)} {
		v.do(http.MethodPost, c.page+"/answer", "application/json", body).want(t, http.StatusBadRequest)
	}
	for _, body := range []string{`{"token":["` + c.token + `"]}`, `{"token":"` + c.token + `","starter":true}`, `{"token":"` + c.token + `","number":42}`} {
		v.do(http.MethodPost, "/l/"+c.ID+"/answer", "application/json", body).want(t, http.StatusBadRequest)
	}
	if got := s.status(c.ID); got.TriesLeft != 5 || got.Status != watchword.Pending {
		t.Errorf("%+v", got)
	}
	if err := s.app.redeem(t.Context(), ""); !errors.Is(err, watchword.ErrNotAnswered) {
		t.Error(err)
	}
}

// Parsers differ in which of two equal fields they use, so the form accepts each field once only.
func TestFormWithoutScriptRejectsRepeatedField(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	for _, body := range []string{
		"code=" + c.code + "&code=" + c.code + "&number=" + c.number,
		"code=" + c.code + "&number=" + c.number + "&number=" + c.number,
		"code=" + c.code + "&number=" + c.number + "&number=",
		"code=" + c.code + "&%63ode=000000&number=" + c.number,
	} {
		if got := s.newPageClient().form("/l/"+c.ID, body); got.status != http.StatusBadRequest || !strings.Contains(got.text, "appears more than once") {
			t.Errorf("%s: %d %s", body, got.status, got.text)
		}
	}
	if v := s.status(c.ID); v.TriesLeft != 5 || v.Status != watchword.Pending {
		t.Errorf("%s, %d tries left", v.Status, v.TriesLeft)
	}
	if got := s.newPageClient().form("/l/"+c.ID, "code="+c.code+"&number="+c.number); got.status != http.StatusOK {
		t.Errorf("once: %d %s", got.status, got.text)
	}
}
