package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// The JavaScript of the guides runs as it stands there, over testdata/guides/express.mjs, against a server.

// A guideCase is the code under one heading of a guide, and steps that use it.
type guideCase struct{ name, page, heading, steps string }

const hostedSteps = `
const browser = new Browser(), stranger = new Browser(), attacker = new Browser();
let { redirect: page } = await browser.send("POST START", { body: FORM });
assert.match(page, /^https:\/\/verify\.example\.com\/v\/vf_.*#vt_/);
let next = await answerPage(page, METHOD);
assert.deepEqual((await stranger.returnTo("BACK", next)).redirect, "START"); // a browser without a session
await attacker.send("POST START", { body: FORM });
assert.deepEqual((await attacker.returnTo("BACK", next)).redirect, "START"); // another question of its own
assert.equal((await browser.returnTo("BACK", next.replace(/rc_.*/, "rc_x"))).problem.code, "return_code_invalid");
assert.equal(DONE, false);
const answer = await browser.returnTo("BACK", next);
assert.equal(answer.problem, undefined, JSON.stringify(answer.problem));
assert.equal(answer.headers["Referrer-Policy"], "no-referrer");
assert.equal(DONE, true);
assert.equal((await browser.send("GET BACK")).redirect, RELOADED);

const other = new Browser();
({ redirect: page } = await other.send("POST START", { body: FORM }));
assert.equal((await other.returnTo("BACK", await cancelPage(page))).redirect, "START");
`

// hosted returns the steps for a hosted page: the paths of start and return, the form, the method to answer, what says that it is
// done, and where a reload leads.
func hosted(start, back, form, method, done, reloaded string) string {
	return strings.NewReplacer("START", start, "BACK", back, "FORM", form, "METHOD", method, "DONE", done, "RELOADED", reloaded).Replace(hostedSteps)
}

func guideCases() []guideCase {
	return []guideCase{
		{"the second step on the hosted page", "mfa-step.md", "With the hosted page",
			hosted("/sign-in", "/mfa/done", "{}", `"m3"`, `browser.session.signedIn === "user_42"`, `"/sign-in"`)},
		{"the second step on own pages", "mfa-step.md", "On your own pages", `
const browser = new Browser();
let shown = (await browser.send("POST /sign-in")).data.v;
assert.deepEqual(shown.methods.map((m) => m.id), ["m2", "m3"]); // nobody has enrolled an authenticator app
shown = (await browser.send("POST /mfa/open", { body: { method: "m2" } })).data.v;
shown = (await browser.send("POST /mfa/open", { body: { method: "m3" } })).data.v; // another way
const code = await codeOf(shown.challenge.id);
assert.equal((await browser.send("POST /mfa/check", { body: { method: "m3", code: code === "000000" ? "000001" : "000000" } })).data.message, "That was not right.");
assert.equal((await browser.send("POST /mfa/check", { body: { method: "m3", code: "no code" } })).data.message, "That was not right.");
assert.equal(browser.session.signedIn, undefined);
assert.equal((await browser.send("POST /mfa/check", { body: { method: "m3", code } })).redirect, "/");
assert.equal(browser.session.signedIn, "user_42");
assert.equal((await new Browser().send("POST /mfa/check", { body: { method: "m3", code } })).redirect, "/sign-in");
const guesser = new Browser();
await guesser.send("POST /sign-in");
const opened = (await guesser.send("POST /mfa/open", { body: { method: "m3" } })).data.v;
const wrong = (await codeOf(opened.challenge.id)) === "000000" ? "000001" : "000000";
let last;
for (let n = 0; n < 5; n++) last = await guesser.send("POST /mfa/check", { body: { method: "m3", code: wrong } });
assert.equal(last.problem.code, "incorrect_answer"); // of the last try: nothing is rendered
assert.equal(last.problem.attempts_remaining, 0);`},
		{"a link on the hosted page", "passwordless.md", "With the hosted page",
			hosted("/sign-in", "/done", `{ email: "ann@example.com" }`, `"m1"`, `browser.session.signedIn === "ann@example.com"`, `"/sign-in"`)},
		{"a link on own pages", "passwordless.md", "On your own pages", `
const browser = new Browser();
const sent = (await browser.send("POST /sign-in", { body: { email: user.email } })).data;
assert.match(sent.number, /^\d\d$/);
const code = await helper("/test/code?verification=" + browser.session.signIn.id);
assert.equal((await browser.send("POST /sign-in/code", { body: { code } })).redirect, "/");
assert.equal(browser.session.signedIn, user.email);

const laptop = new Browser();
await laptop.send("POST /sign-in", { body: { email: user.email } });
await helper("/test/confirm?verification=" + laptop.session.signIn.id); // on the phone
assert.deepEqual((await laptop.send("POST /sign-in/wait")).data, { next: "/" });
assert.equal(laptop.session.signedIn, user.email);`},
		{"a reset on the hosted page", "password-reset.md", "With the hosted page",
			hosted("/forgot", "/reset", `{ email: "ann@example.com", password: "new" }`, `"m1"`, `passwordOf === "new"`, `"/forgot"`)},
		{"a reset on own pages", "password-reset.md", "On your own pages", `
const browser = new Browser(), stranger = new Browser();
await stranger.send("POST /forgot", { body: { email: "nobody@example.com" } });
assert.equal((await stranger.send("POST /reset", { body: { code: "000000", password: "new" } })).problem.code, "incorrect_answer");
await browser.send("POST /forgot", { body: { email: user.email } });
const code = await helper("/test/code?verification=" + browser.session.reset.id);
assert.equal(passwordOf, "the old one");
assert.equal((await browser.send("POST /reset", { body: { code, password: "new" } })).redirect, "/sign-in");
assert.equal(passwordOf, "new");`},
	}
}

func TestJavaScriptOfTheGuidesRuns(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed, so the JavaScript of the guides was NOT run")
	}
	harness := readDoc(t, "testdata/guides/express.mjs")
	client := guideBlocks(t, "mfa-step.md", "")[0] // the function watchword
	for _, c := range guideCases() {
		t.Run(c.name, func(t *testing.T) {
			web := httptest.NewServer(newGuideServer(t))
			defer web.Close()
			program := filepath.Join(t.TempDir(), "guide.mjs")
			text := strings.Join([]string{harness, client, strings.Join(guideBlocks(t, c.page, c.heading), "\n"), c.steps}, "\n")
			if err := os.WriteFile(program, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			node := exec.CommandContext(t.Context(), "node", program)
			node.Env = append(os.Environ(), "WATCHWORD_URL="+web.URL, "WATCHWORD_KEY="+exampleKey)
			if out, err := node.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// guideBlocks returns the blocks of JavaScript below a heading of a page; those before the first heading if it is empty.
func guideBlocks(t *testing.T, page, heading string) (blocks []string) {
	t.Helper()
	_, text, found := strings.Cut("\n## \n"+readDoc(t, "../../docs/"+page), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("docs/%s has no heading %q", page, heading)
	}
	text, _, _ = strings.Cut(text, "\n## ")
	for _, m := range regexp.MustCompile("(?s)```js\n(.*?)```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("docs/%s has no JavaScript below %q", page, heading)
	}
	return blocks
}

// A guideServer is a server, and what a person and a browser do at its hosted pages.
type guideServer struct {
	engine *watchword.Engine
	outbox *delivery.Queue
	sent   map[string]watchword.Message // by challenge
}

func newGuideServer(t *testing.T) http.Handler {
	t.Helper()
	g := &guideServer{sent: map[string]watchword.Message{}}
	var api http.Handler
	g.engine, g.outbox, api = newExampleApp(t)
	mux := http.NewServeMux()
	mux.Handle("/v1/", api)
	for path, serve := range map[string]func(*http.Request) (string, error){"code": g.code, "confirm": g.confirm, "answer": g.answer, "cancel": g.cancel} {
		mux.HandleFunc("GET /test/"+path, func(w http.ResponseWriter, r *http.Request) {
			text, err := serve(r)
			if err != nil {
				http.Error(w, err.Error(), http.StatusConflict)
				return
			}
			_, _ = fmt.Fprint(w, text)
		})
	}
	return mux
}

// message returns the message of a challenge, or of the open method of a verification.
func (g *guideServer) message(r *http.Request, challenge, verification string) (m watchword.Message, err error) {
	if challenge == "" {
		v, err := g.engine.VerificationStatus(r.Context(), verification)
		if err != nil || v.Challenge == nil {
			return m, errors.Join(errors.New("no method is open"), err)
		}
		challenge = v.Challenge.ID
	}
	for g.sent[challenge].ID == "" {
		claimed, err := g.outbox.Claim(r.Context(), 1)
		if err != nil {
			return m, err
		}
		if m, err := g.engine.ComposeMessage(r.Context(), claimed[0]); err == nil { // nothing is sent for a decoy
			g.sent[claimed[0].ChallengeID] = m
		}
	}
	return g.sent[challenge], nil
}

func (g *guideServer) code(r *http.Request) (string, error) {
	m, err := g.message(r, r.FormValue("challenge"), r.FormValue("verification"))
	return m.Code.Reveal(), err
}

// confirm answers a verification by the token of its link, on the page of the starter.
func (g *guideServer) confirm(r *http.Request) (string, error) {
	id := r.FormValue("verification")
	m, err := g.message(r, "", id)
	if err != nil {
		return "", err
	}
	return "", g.engine.AnswerVerification(r.Context(), id, "", watchword.Answer{Text: m.Code.Reveal(), Starter: true}, watchword.Client{})
}

// openPage opens the hosted page of an address with its ticket.
func (g *guideServer) openPage(r *http.Request) (id, cookie string, err error) {
	page, err := url.Parse(r.FormValue("page"))
	if err != nil {
		return "", "", err
	}
	id = strings.TrimPrefix(page.Path, "/v/")
	secret, err := g.engine.OpenVerificationPage(r.Context(), id, page.Fragment, nil)
	return id, secret.Reveal(), err
}

// answer opens a hosted page and answers there, and returns the address to which it leads.
func (g *guideServer) answer(r *http.Request) (string, error) {
	id, cookie, err := g.openPage(r)
	if err != nil {
		return "", err
	}
	v, err := g.engine.OpenMethod(r.Context(), id, r.FormValue("method"))
	if err != nil {
		return "", err
	}
	m, err := g.message(r, v.Challenge.ID, "")
	if err != nil {
		return "", err
	}
	if err := g.engine.AnswerVerification(r.Context(), id, v.Method, watchword.Answer{Text: m.Code.Reveal(), Starter: true}, watchword.Client{}); err != nil {
		return "", err
	}
	return g.next(r, id, cookie)
}

func (g *guideServer) cancel(r *http.Request) (string, error) {
	id, cookie, err := g.openPage(r)
	if err != nil {
		return "", err
	}
	if _, err := g.engine.CancelVerification(r.Context(), id); err != nil {
		return "", err
	}
	return g.next(r, id, cookie)
}

func (g *guideServer) next(r *http.Request, id, cookie string) (string, error) {
	p, err := g.engine.ViewVerificationPage(r.Context(), id, cookie)
	if err != nil {
		return "", err
	}
	return p.Next.Reveal(), nil
}
