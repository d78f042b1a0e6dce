package webauthn

import (
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/watchword-auth/watchword"
)

// An answeredStep is the answer to an askedStep.
type answeredStep struct {
	Challenge    string         `json:"challenge"`
	Authenticate jsontext.Value `json:"authenticate"`
	Register     jsontext.Value `json:"register"`
}

// maxAnswerBody is the maximum size of a request's body, in bytes.
const maxAnswerBody = 64 << 10

// readAnswer reads the answer to the last step; the zero answeredStep if the request begins.
func (h *handler) readAnswer(w http.ResponseWriter, r *http.Request) (answered answeredStep, err error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAnswerBody))
	if err != nil {
		return answered, watchword.ErrInvalidRequest
	}
	if len(body) == 0 {
		return answered, nil
	}
	// This parser refuses what encoding/json reads in its own way: names that are there twice or in another case, and a second document.
	if err := json.Unmarshal(body, &answered); err != nil || answered.Challenge == "" {
		return answered, watchword.ErrInvalidRequest
	}
	if !slices.Contains(challengesOf(r), answered.Challenge) {
		return answered, watchword.ErrUnknownChallenge // it was not started for this browser
	}
	return answered, nil
}

const (
	challengeCookie = "passkey_" // followed by the challenge's id
	challengeMaxAge = 5 * 60     // seconds; challenges for passkeys expire then
	maxChallenges   = 8          // of one browser, such as those of its tabs
)

// challengesOf returns the ids of the challenges that were started for the browser of a request, the oldest first (RFC 6265 §5.4).
func challengesOf(r *http.Request) (ids []string) {
	for _, cookie := range r.Cookies() {
		if id, ok := strings.CutPrefix(cookie.Name, challengeCookie); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// ask starts a challenge and remembers it in the browser. Each has a cookie of its own, because the replies to requests that tabs send
// at the same time would replace a cookie with all of them.
func (h *handler) ask(w http.ResponseWriter, r *http.Request, req watchword.StartRequest) (*watchword.Started, error) {
	req.Strategy, req.Client = h.Keys.Name(), h.Client(r)
	started, err := h.Engine.Start(r.Context(), req)
	if err != nil {
		return nil, err
	}
	earlier := challengesOf(r)
	for _, id := range earlier[:max(0, len(earlier)+1-maxChallenges)] {
		h.setCookie(w, r, id, -1)
	}
	h.setCookie(w, r, started.ID, challengeMaxAge)
	return started, nil
}

// setCookie sets the cookie of a challenge, or removes it if maxAge is negative.
func (h *handler) setCookie(w http.ResponseWriter, r *http.Request, id string, maxAge int) {
	http.SetCookie(w, &http.Cookie{Name: challengeCookie + id, Value: "1", Path: path.Dir(r.URL.Path), MaxAge: maxAge, HttpOnly: true,
		SameSite: http.SameSiteStrictMode, Secure: !slices.ContainsFunc(h.Keys.cfg.Origins, func(o string) bool { return strings.HasPrefix(o, "http://") })})
}
