package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/hotp"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/internal/typed"
	"github.com/watchword-auth/watchword/internal/typed/typedtest"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/recovery"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/store/memory"
)

// A codeKind is a kind of code that people type.
type codeKind struct {
	name, strategy string
	letters        bool // the sent codes have letters
	shape          typed.Shape
	enrol          func(s *site, subject string) (next string) // nil: codes are sent
}

func codeKinds() []codeKind {
	six := typed.Shape{Alphabet: typed.Digits, Min: 6, Max: 6}
	device := typed.Shape{Alphabet: typed.Digits, Min: 6, Max: 8}
	return []codeKind{
		{name: "sent digits", strategy: "otp", shape: six},
		{name: "sent letters", strategy: "otp", letters: true, shape: typed.Shape{Alphabet: otp.Unambiguous, Min: 6, Max: 6}},
		{name: "a code beside a link", strategy: "magiclink", shape: six},
		{name: "totp", strategy: "totp", shape: device, enrol: enrolTOTP},
		{name: "hotp", strategy: "hotp", shape: device, enrol: enrolHOTP},
		{name: "recovery", strategy: "recovery", shape: typed.Shape{Alphabet: "2346789CDFGHJKMNPRTVWXY", Min: 16, Max: 16}, enrol: enrolRecovery},
	}
}

// newCodeSite returns a site with all strategies whose codes people type.
func newCodeSite(t *testing.T, kind codeKind) *site {
	t.Helper()
	return newSite(t, siteOptions{engine: func(c *watchword.Config) {
		sent, err := otp.New(otp.Config{Letters: kind.letters, Clock: c.Clock})
		must(t, err)
		apps, err := totp.New(totp.Config{Issuer: "Example Shop"})
		must(t, err)
		tokens, err := totp.NewHOTP(totp.HOTPConfig{Issuer: "Example Shop"})
		must(t, err)
		c.Factors, c.NoBudget = &memory.Factors{}, true
		c.Strategies = []watchword.Strategy{c.Strategies[0], sent, apps, tokens, recovery.New()}
	}})
}

// enrol enrols a factor with the code that the function derives from the public data, which it returns.
func (s *site) enrol(strategy, subject string, code func(public map[string]any) string) map[string]any {
	s.t.Helper()
	c := s.startEnrolment(strategy, subject)
	s.finishEnrolment(c, code(c.Public))
	return c.Public
}

func (s *site) startEnrolment(strategy, subject string) startedChallenge {
	s.t.Helper()
	return s.startForSubject(strategy, watchword.PurposeEnrol, func(q *watchword.StartRequest) { q.Subject = subject })
}

func (s *site) finishEnrolment(c startedChallenge, code string) {
	s.t.Helper()
	_, err := s.engine.Check(s.t.Context(), c.ID, watchword.CheckRequest{Purpose: watchword.PurposeEnrol, Subject: c.Subject, Answer: watchword.Answer{Text: code}})
	must(s.t, err)
}

func enrolTOTP(s *site, subject string) string {
	secret := s.enrol("totp", subject, func(public map[string]any) string { return s.appCode(public["secret"].(string)) })["secret"].(string)
	before := s.appCode(secret)
	for {
		if s.clock.advance(30 * time.Second); s.appCode(secret) != before {
			return s.appCode(secret)
		}
	}
}

// enrolHOTP enrols a token and returns its second code. That code does not come again among the next ones, for which it would be
// right in the next challenge too.
func enrolHOTP(s *site, subject string) string {
	for {
		c := s.startEnrolment("hotp", subject)
		codes := make([]string, 200)
		for counter := range codes {
			code, err := hotp.GenerateCode(c.Public["secret"].(string), uint64(counter))
			must(s.t, err)
			codes[counter] = code
		}
		if !slices.Contains(codes[2:], codes[1]) {
			s.finishEnrolment(c, codes[0])
			return codes[1]
		}
	}
}

func enrolRecovery(s *site, subject string) string {
	codes := s.enrol("recovery", subject, func(public map[string]any) string { return public["codes"].([]string)[0] })["codes"].([]string)
	return strings.ReplaceAll(codes[1], "-", "")
}

// startChallenge starts a challenge for a subject.
func (k codeKind) startChallenge(s *site, subject string) startedChallenge {
	s.t.Helper()
	return s.startForSubject(k.strategy, "sign_in", func(q *watchword.StartRequest) {
		if q.Subject = subject; k.enrol == nil {
			q.To = "ada@example.com"
		}
		if k.strategy == "otp" {
			q.Channel = "email"
		}
	})
}

// startWithCode starts a challenge for a new subject and returns its right answer.
func (k codeKind) startWithCode(s *site, subject string) (startedChallenge, string) {
	s.t.Helper()
	if k.enrol != nil {
		code := k.enrol(s, subject)
		return k.startChallenge(s, subject), code
	}
	c := k.startChallenge(s, subject)
	m, err := s.engine.ComposeMessage(s.t.Context(), s.outbox.messages[len(s.outbox.messages)-1])
	must(s.t, err)
	return c, m.Code.Reveal()
}

// An answerMethod sends an answer to a challenge.
type answerMethod func(s *site, c startedChallenge, answer string) pageResponse

var answerMethods = map[string]answerMethod{"api": answerByAPI, "page": answerByPage}

func answerByAPI(s *site, c startedChallenge, answer string) pageResponse {
	body := `{"purpose":"sign_in","subject":` + strconv.Quote(c.Subject) + `,"answer":` + toJSON(s.t, answer) + `}`
	return s.newPageClient().do(http.MethodPost, "/v1/challenges/"+c.ID+"/check", "application/json", body, "Authorization", "Bearer "+shopKey)
}

func toJSON(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

func answerByPage(s *site, c startedChallenge, answer string) pageResponse {
	return s.openPage(c).post(c.page+"/answer", map[string]string{"answer": answer})
}

func TestCheckAcceptsEverySpellingOfCodeOnce(t *testing.T) {
	for _, kind := range codeKinds() {
		for name, answer := range answerMethods {
			t.Run(kind.name+" by "+name, func(t *testing.T) {
				t.Parallel()
				s := newCodeSite(t, kind)
				for n := range typedtest.SpellingCount {
					c, code := kind.startWithCode(s, "user_"+strconv.Itoa(n))
					spelled := typedtest.Spellings(code)
					if got := answer(s, c, spelled[n]); got.status != http.StatusOK {
						t.Fatalf("%+q: %d %s", spelled[n], got.status, got.text)
					}
					again := spelled[(n+5)%len(spelled)]
					if got := answer(s, c, again); got.status != http.StatusConflict {
						t.Errorf("%+q to the same challenge: %d %s", again, got.status, got.text)
					}
					if kind.enrol == nil {
						continue
					}
					next := kind.startChallenge(s, c.Subject)
					if got := answer(s, next, again); got.status != http.StatusUnprocessableEntity {
						t.Errorf("%+q to the next challenge: %d %s", again, got.status, got.text)
					}
				}
			})
		}
	}
}

func TestCheckRejectsImpossibleCodeWithoutChargingTry(t *testing.T) {
	for _, kind := range codeKinds() {
		for name, answer := range answerMethods {
			t.Run(kind.name+" by "+name, func(t *testing.T) {
				t.Parallel()
				s := newCodeSite(t, kind)
				c, code := kind.startWithCode(s, "user_42")
				tries := s.status(c.ID).TriesLeft
				for _, text := range typedtest.NotCodes(kind.shape, code) {
					got := answer(s, c, text)
					if got.status != http.StatusBadRequest || name == "api" && !strings.Contains(got.text, `"errors":[{"field":"answer"`) {
						t.Errorf("%+q: %d %s", text, got.status, got.text)
					}
				}
				if v := s.status(c.ID); v.TriesLeft != tries || v.Status != watchword.Pending {
					t.Errorf("%s, %d tries of %d left", v.Status, v.TriesLeft, tries)
				}
				if got := answer(s, c, code); got.status != http.StatusOK {
					t.Errorf("the right code: %d %s", got.status, got.text)
				}
			})
		}
	}
}

// The attributes of the inputs must not reject spellings that the engine accepts.
func TestPageInputsAllowEverySpelling(t *testing.T) {
	s := newSite(t, siteOptions{})
	c := s.startLink()
	for name, html := range map[string]string{
		"the starter's page":      s.openPage(c).get(c.page + "/state").html,
		"the link's page":         s.newPageClient().post("/l/"+c.ID+"/open", map[string]string{"token": c.token}).html,
		"the page without script": s.newPageClient().form("/l/"+c.ID, "code=1").text,
	} {
		if strings.Contains(html, "pattern=") || strings.Count(html, "maxlength=") != strings.Count(html, `maxlength="`+strconv.Itoa(typed.MaxInput)+`"`) || !strings.Contains(html, "<input") {
			t.Errorf("%s: %s", name, html)
		}
	}
}

// The test covers the pages with script and the form without.
func TestLinkNumberIsAcceptedInEverySpelling(t *testing.T) {
	s := newSite(t, siteOptions{pages: server.Pages{}})
	for n := 0; n < typedtest.SpellingCount; n += 3 {
		c := s.startLink()
		number := typedtest.Spellings(c.number)[n]
		s.newPageClient().post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": number}).want(t, http.StatusOK)
		c = s.startLink()
		form := url.Values{"code": {typedtest.Spellings(c.code)[n]}, "number": {typedtest.Spellings(c.number)[n]}}
		if got := s.newPageClient().form("/l/"+c.ID, form.Encode()); got.status != http.StatusOK {
			t.Errorf("%v: %d %s", form, got.status, got.text)
		}
		c = s.startLink()
		other := typedtest.Spellings(wrongCode(c.number))[n]
		s.newPageClient().post("/l/"+c.ID+"/answer", map[string]string{"token": c.token, "number": other}).want(t, http.StatusUnprocessableEntity, "That number doesn’t match")
	}
}
