package webauthn

import (
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/watchword-auth/watchword"
)

// earlyClick is a person who clicks the button before the suggestions are there: the reply to the first request comes last.
const earlyClick = `(async () => {
  const { signIn, suggest } = await import("/passkeys/passkeys.js");
  const get = navigator.credentials.get.bind(navigator.credentials);
  const asked = [];
  navigator.credentials.get = (options) => {
    asked.push(options.mediation ?? "modal");
    return get(options);
  };
  const send = window.fetch;
  let first = true, release;
  const held = new Promise((resolve) => { release = resolve; });
  window.fetch = async (...request) => {
    const holds = first;
    first = false;
    const reply = await send(...request);
    if (holds) await held;
    return reply;
  };
  suggest().catch((error) => asked.push(error.name));
  const signedIn = await signIn();
  release();
  return { error: [signedIn, await suggest(), ...asked].join(" ") };
})()`

// signIn ends suggestions that are not asked for yet, too: the browser refuses a second request while one is open.
func TestSignInEndsSuggestionsThatAreStillAskedFor(t *testing.T) {
	t.Parallel()
	b := newBrowserKit(t)
	h, err := NewHandler(HandlerConfig{Engine: b.Engine, Keys: b.strategy, Subject: func(*http.Request) string { return "" },
		SignIn: func(http.ResponseWriter, *http.Request, *watchword.Claims) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	b.mux.Handle("/passkeys/", h)
	b.authenticator(t, "internal")
	b.wantReceipt(t, "enrol", b.call(t, "enrol", "user_42"))
	out, err := chromedp.Run(b.ctx, chromedp.Evaluate[appAnswer](earlyClick, chromedp.EvalAwaitPromise))
	if want := "true true modal conditional"; err != nil || out.Error != want {
		t.Errorf("%v, %q, want %q", err, out.Error, want)
	}
}
