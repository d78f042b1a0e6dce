package watchword

import (
	"crypto/hmac"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/watchword-auth/watchword/internal/codec"
)

// returnCodeLifetime is how long a return code is valid after it was shown to a browser.
const returnCodeLifetime = time.Minute

// returnCodeSize is the size of a decoded return code: the time in milliseconds and an HMAC.
const returnCodeSize = 8 + 32

// A pageBinding is the part of a challenge's or a verification's record that binds its hosted page to one browser: the
// browser that exchanged the page's ticket. That browser has a random cookie, and the record has the cookie's digest. An
// answer on a page whose link was passed on to somebody else is worth nothing to the person who passed it on, because only
// the bound browser gets the return code that collecting the receipt needs.
//
// The id in its methods is that of the challenge or verification.
type pageBinding struct {
	CookieDigest []byte // empty: the ticket was not exchanged
}

func (b *pageBinding) fields(f *codec.Codec) { f.Bytes(&b.CookieDigest) }

// isBound reports whether a browser has exchanged the ticket.
func (b *pageBinding) isBound() bool { return len(b.CookieDigest) > 0 }

// bind binds the page to the browser that gets the cookie. The error is errRepeatedRequest if it is bound to that cookie
// already, and ErrPageOpened if it is bound to another. The caller writes the record by compare-and-set, so that of several
// exchanges one succeeds.
func (b *pageBinding) bind(key *ringKey, id string, cookie Code) error {
	switch {
	case b.isBoundTo(key, id, cookie.Reveal()):
		return errRepeatedRequest
	case b.isBound():
		return ErrPageOpened
	}
	b.CookieDigest = cookieDigest(key, id, cookie.Reveal())
	return nil
}

// newPageCookie returns a new cookie for a page. A seed of the browser determines it, so that the repetition of an exchange
// whose response was lost gets the same cookie. Without a seed it is random.
func (e *Engine) newPageCookie(id string, seed []byte) (Code, error) {
	if seed != nil {
		sum := e.identity.tags.sum("page cookie", e.cfg.App, id, string(seed))
		return NewCode("ck_" + b64.EncodeToString(sum[:])), nil
	}
	raw, err := e.random(32)
	if err != nil {
		return Code{}, fmt.Errorf("watchword: random source: %w", err)
	}
	return NewCode("ck_" + b64.EncodeToString(raw)), nil
}

// isBoundTo reports whether the cookie is that of the bound browser.
func (b *pageBinding) isBoundTo(key *ringKey, id, cookie string) bool {
	return b.isBound() && hmac.Equal(b.CookieDigest, cookieDigest(key, id, cookie))
}

// isOf reports whether the browser with the cookie's digest is the bound one. An empty digest is of an answer that was given before
// any browser was bound.
func (b *pageBinding) isOf(digest []byte) bool {
	return len(digest) == 0 || hmac.Equal(b.CookieDigest, digest)
}

func cookieDigest(key *ringKey, id, cookie string) []byte {
	sum := key.handles.sum("page cookie", id, cookie)
	return sum[:]
}

// returnCode returns a return code that is valid for returnCodeLifetime from now. The caller shows it to the bound browser
// alone.
func (b *pageBinding) returnCode(key *ringKey, id string, now time.Time) Code {
	raw := binary.BigEndian.AppendUint64(make([]byte, 0, returnCodeSize), uint64(now.UnixMilli()))
	sum := key.handles.sum("return code", id, string(raw), string(b.CookieDigest))
	return NewCode("rc_" + b64.EncodeToString(append(raw, sum[:]...)))
}

// checkReturnCode returns ErrReturnCodeInvalid unless the page is not bound or the code is one of the bound browser that has
// not expired. The repetition of a request that collected the receipt passes with its code after the expiry too. A code can
// be used once because a receipt can be collected once.
func (b *pageBinding) checkReturnCode(key *ringKey, id, code string, now time.Time, repeated bool) error {
	if !b.isBound() {
		return nil
	}
	raw, err := b64.DecodeString(strings.TrimPrefix(code, "rc_"))
	if err != nil || len(raw) != returnCodeSize {
		return ErrReturnCodeInvalid
	}
	issued := time.UnixMilli(int64(binary.BigEndian.Uint64(raw)))
	valid := hmac.Equal([]byte(code), []byte(b.returnCode(key, id, issued).Reveal()))
	if !valid || !repeated && now.Sub(issued) > returnCodeLifetime {
		return ErrReturnCodeInvalid
	}
	return nil
}

// The parameters that a page adds to a return URL.
const (
	returnChallenge    = "challenge"    // the id of the challenge
	returnVerification = "verification" // the id of the verification
	returnCodeName     = "return_code"
	returnError        = "error" // how the challenge or verification ended, if it was not approved
)

// reservedReturnNames are the names of parameters that a return URL must not have: a page adds them.
var reservedReturnNames = []string{returnChallenge, returnVerification, returnCodeName, returnError}

// reservedInReturnURL returns the reason to refuse a return URL whose origin is allowed; empty: there is none. Some servers
// ignore the letter case of parameters, so reserved names are refused in every case.
func reservedInReturnURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.User != nil || u.Fragment != "" || strings.Contains(text, "#") {
		return "must not have a fragment or user information"
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "has a query that cannot be parsed"
	}
	for name := range query {
		for _, reserved := range reservedReturnNames {
			if strings.EqualFold(name, reserved) {
				return "must not have the parameters verification, challenge, return_code and error, which pages add"
			}
		}
	}
	return ""
}

// addToQuery returns a return URL with parameters added to its query, which is otherwise unchanged. Pairs are names and
// values.
func addToQuery(returnURL string, pairs ...string) string {
	out := returnURL
	for n := 0; n+1 < len(pairs); n += 2 {
		separator := "&"
		switch {
		case !strings.Contains(out, "?"):
			separator = "?"
		case strings.HasSuffix(out, "?"):
			separator = ""
		}
		out += separator + pairs[n] + "=" + url.QueryEscape(pairs[n+1])
	}
	return out
}

// wayBack returns the URL that leads a browser back to the app once a challenge or verification has ended: with a return code if
// it was approved, else with the reason. It is zero while it is pending, and without a return URL. The name is the
// parameter that has the id.
func (b *pageBinding) wayBack(key *ringKey, name, id, returnURL string, status Status, now time.Time) Code {
	if returnURL == "" || status == Pending {
		return Code{}
	}
	if status != Approved {
		return NewCode(addToQuery(returnURL, name, id, returnError, string(status)))
	}
	return NewCode(addToQuery(returnURL, name, id, returnCodeName, b.returnCode(key, id, now).Reveal()))
}
