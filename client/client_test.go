package client_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/client"
	"github.com/watchword-auth/watchword/receipt"
)

func byMail(to string) client.MethodRequest {
	return client.MethodRequest{Strategy: "otp", Channel: "email", To: to}
}

func TestVerificationIsAnsweredAndItsReceiptVerified(t *testing.T) {
	t.Parallel()
	s, c := startTestServer(t)
	started, err := c.StartVerification(t.Context(), client.VerificationRequest{Purpose: "mfa", Subject: "user_42", Nonce: "n-1",
		Methods: []client.MethodRequest{byMail("ann@example.com"), byMail("ann@example.org")}, Client: client.ClientInfo{IP: "203.0.113.7"}})
	must(t, err)
	if started.Challenge != nil || len(started.Methods) != 2 || started.Handle == "" {
		t.Fatalf("started: %+v", started)
	}
	opened, err := c.OpenMethod(t.Context(), started.ID, started.Methods[0].ID)
	must(t, err)
	if opened.Challenge == nil || opened.Challenge.Ask != watchword.AskCode || opened.Challenge.Public.Length != 6 {
		t.Fatalf("opened: %+v", opened)
	}
	code := s.code()
	check := client.CheckRequest{Purpose: "mfa", Subject: "user_42", Answer: client.Text(other(code))}
	_, err = c.CheckVerification(t.Context(), started.ID, check)
	var wrong *watchword.Error
	var problem *client.Problem
	if !errors.Is(err, watchword.ErrIncorrectAnswer) || !errors.As(err, &wrong) || wrong.Remaining != 4 || !errors.As(err, &problem) || problem.Status != 422 || problem.RequestID == "" {
		t.Fatalf("wrong answer: %v", err)
	}
	check.Answer = client.Text(code)
	approved, err := c.CheckVerification(t.Context(), started.ID, check)
	must(t, err)
	verifier, err := receipt.NewVerifier(receipt.VerifierConfig{Issuer: s.url})
	must(t, err)
	claims, err := verifier.Verify(t.Context(), approved.Receipt, receipt.Expect{Purpose: "mfa", Audience: "shop", Subject: "user_42", Nonce: "n-1"})
	must(t, err)
	if claims.Verification != started.ID || approved.Claims.ID != claims.ID || approved.Method != started.Methods[0].ID {
		t.Errorf("claims %+v, approved %+v", claims, approved)
	}
	used, err := c.RedeemReceipt(t.Context(), approved.Receipt, "mfa")
	if err != nil || used.ID != claims.ID {
		t.Errorf("redeem: %+v, %v", used, err)
	}
	if _, err := c.RedeemReceipt(t.Context(), approved.Receipt, "mfa"); !errors.Is(err, watchword.ErrReceiptUsed) {
		t.Errorf("redeemed twice: %v", err)
	}
}

// other returns another code than the given one.
func other(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return "9" + code[1:]
}

func TestChallengeIsWaitedForResentAndCanceled(t *testing.T) {
	t.Parallel()
	_, c := startTestServer(t)
	started, err := c.StartChallenge(t.Context(), client.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: "ann@example.com"})
	must(t, err)
	var early *watchword.Error
	if _, err := c.ResendChallenge(t.Context(), started.ID, ""); !errors.Is(err, watchword.ErrResendTooSoon) || !errors.As(err, &early) || early.RetryAfter <= 0 {
		t.Errorf("resend: %v", err)
	}
	redeem := client.RedeemRequest{Handle: started.Handle, Purpose: "sign_in", To: "ann@example.com"}
	if _, err := c.RedeemChallenge(t.Context(), started.ID, redeem); !errors.Is(err, watchword.ErrNotAnswered) {
		t.Errorf("redeem: %v", err)
	}
	ended := make(chan *client.Challenge, 1)
	go func() {
		read, err := c.WaitChallenge(t.Context(), started.ID)
		if err != nil {
			t.Error(err)
		}
		ended <- read
	}()
	canceled, err := c.CancelChallenge(t.Context(), started.ID)
	must(t, err)
	if read := <-ended; canceled.Status != watchword.Canceled || read == nil || read.Status != watchword.Canceled {
		t.Errorf("canceled %+v, read %+v", canceled, read)
	}
	if _, err := c.GetChallenge(t.Context(), "../factors"); !errors.Is(err, watchword.ErrUnknownChallenge) {
		t.Errorf("an id with a slash: %v", err)
	}
}

func TestFactorsAreEnrolledListedRenamedAndRemoved(t *testing.T) {
	t.Parallel()
	s, c := startTestServer(t)
	ctx, subject := t.Context(), "user/43"
	enrolment, err := c.StartChallenge(ctx, client.StartRequest{Strategy: "recovery", Purpose: "enrol", Subject: subject})
	must(t, err)
	codes := enrolment.Public.Codes
	enrolled, err := c.CheckChallenge(ctx, enrolment.ID, client.CheckRequest{Purpose: "enrol", Subject: subject, Answer: client.Text(codes[0])})
	must(t, err)
	factors, err := c.ListFactors(ctx, subject)
	if err != nil || len(factors) != 1 || enrolled.Factor == nil || factors[0].ID != enrolled.Factor.ID {
		t.Fatalf("listed %+v, %v; enrolled %+v", factors, err, enrolled.Factor)
	}
	id := factors[0].ID
	if err := c.RemoveFactor(ctx, id); !errors.Is(err, watchword.ErrProofRequired) {
		t.Errorf("removed without a proof: %v", err)
	}
	proof, err := c.StartChallenge(ctx, client.StartRequest{Strategy: "recovery", Purpose: "manage_factors", Subject: subject})
	must(t, err)
	proven, err := c.CheckChallenge(ctx, proof.ID, client.CheckRequest{Purpose: "manage_factors", Subject: subject, Answer: client.Text(codes[1])})
	must(t, err)
	renamed, err := c.RenameFactor(ctx, id, "Paper", client.Authorization(proven.Receipt))
	if err != nil || renamed.Label != "Paper" {
		t.Errorf("renamed: %+v, %v", renamed, err)
	}
	admin, err := client.New(client.Config{URL: s.url, APIKey: watchword.NewCode(adminKey)})
	must(t, err)
	must(t, admin.RemoveSubject(ctx, subject))
	if _, err := c.GetFactor(ctx, id); !errors.Is(err, watchword.ErrUnknownFactor) {
		t.Errorf("removed factor: %v", err)
	}
}

func TestCallWhoseResponseIsLostIsRepeatedAndSendsOneMessage(t *testing.T) {
	t.Parallel()
	losing := &brokenTransport{}
	losing.respond = func(n int, r *http.Request) (*http.Response, error) {
		res, err := http.DefaultTransport.RoundTrip(r)
		if err == nil && n%2 == 1 {
			_ = res.Body.Close()
			return nil, errors.New("the connection broke")
		}
		return res, err
	}
	s, c := startTestServer(t, func(cfg *client.Config) { cfg.HTTPClient = &http.Client{Transport: losing} })
	started, err := c.StartChallenge(t.Context(), client.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: "ann@example.com"})
	must(t, err)
	approved, err := c.CheckChallenge(t.Context(), started.ID, client.CheckRequest{Purpose: "sign_in", To: "ann@example.com", Answer: client.Text(s.code())})
	must(t, err)
	keys := losing.keys()
	if approved.Receipt == "" || len(keys) != 4 || keys[0] == "" || keys[0] != keys[1] || keys[2] != keys[3] || keys[0] == keys[2] {
		t.Errorf("receipt %q, keys %q", approved.Receipt, keys)
	}
	if more := len(s.messages); more != 0 {
		t.Errorf("%d more messages were sent", more)
	}
}

func TestIdempotencyKeyOfCallerGetsFirstAnswerAgain(t *testing.T) {
	t.Parallel()
	_, c := startTestServer(t)
	start := func() string {
		started, err := c.StartChallenge(t.Context(), client.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: "ann@example.com"}, client.IdempotencyKey("order-17"))
		must(t, err)
		return started.ID
	}
	if first, second := start(), start(); first != second {
		t.Errorf("two challenges: %s, %s", first, second)
	}
}

func TestProblemNamesWhatIsWrong(t *testing.T) {
	t.Parallel()
	s, c := startTestServer(t)
	_, err := c.StartChallenge(t.Context(), client.StartRequest{Strategy: "otp", Channel: "email", To: "ann@example.com"})
	var invalid *watchword.Error
	if !errors.As(err, &invalid) || !slices.Contains(invalid.Fields, watchword.FieldError{Field: "purpose", Reason: "is required"}) {
		t.Errorf("without a purpose: %v", err)
	}
	stranger, err := client.New(client.Config{URL: s.url, APIKey: watchword.NewCode("wrong")})
	must(t, err)
	_, err = stranger.GetChallenge(t.Context(), "ch_1")
	var problem *client.Problem
	if !errors.As(err, &problem) || problem.Code != "unauthorized" || problem.Detail == "" {
		t.Errorf("with a wrong key: %v", err)
	}
	lost, err := client.New(client.Config{URL: s.url + "/wrong", APIKey: watchword.NewCode(appKey)})
	must(t, err)
	_, err = lost.GetChallenge(t.Context(), "ch_1")
	if problem = nil; !errors.As(err, &problem) || problem.Code != "not_found" {
		t.Errorf("at a wrong URL, where browsers see a page: %v", err)
	}
}

func TestCallIsRepeatedOnlyWhereThatHasNoFurtherEffect(t *testing.T) {
	t.Parallel()
	calls := map[string]func(*client.Client) error{
		http.MethodGet:    func(c *client.Client) error { _, err := c.GetChallenge(t.Context(), "ch_1"); return err },
		http.MethodPost:   func(c *client.Client) error { _, err := c.CancelChallenge(t.Context(), "ch_1"); return err },
		http.MethodPatch:  func(c *client.Client) error { _, err := c.RenameFactor(t.Context(), "fa_1", "Ann"); return err },
		http.MethodDelete: func(c *client.Client) error { return c.RemoveFactor(t.Context(), "fa_1") },
	}
	problem := func(status int, code, outcome string) func() (*http.Response, error) {
		return func() (*http.Response, error) {
			return respondWith(status, map[string]any{"code": code, "status": status, "outcome": outcome}, nil), nil
		}
	}
	safe, all := []string{http.MethodGet, http.MethodPost}, []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete}
	for name, test := range map[string]struct {
		first    func() (*http.Response, error)
		repeated []string
	}{
		"broken connection":    {func() (*http.Response, error) { return nil, errors.New("broken") }, safe},
		"unknown outcome":      {problem(503, "unavailable", "unknown"), safe},
		"unavailable store":    {problem(503, "unavailable", ""), all},
		"page of a proxy":      {func() (*http.Response, error) { return respondWith(502, "<h1>Bad gateway</h1>", nil), nil }, safe},
		"request in flight":    {problem(409, "idempotency_in_flight", ""), safe},
		"limit":                {problem(429, "rate_limited", ""), nil},
		"defect of the server": {problem(500, "internal_error", ""), nil},
		"redirect": {func() (*http.Response, error) {
			return respondWith(302, "", map[string]string{"Location": "https://example.net"}), nil
		}, nil},
	} {
		for method, call := range calls {
			t.Run(name+" "+method, func(t *testing.T) {
				t.Parallel()
				broken := &brokenTransport{}
				broken.respond = func(n int, _ *http.Request) (*http.Response, error) {
					if n == 1 {
						return test.first()
					}
					if method == http.MethodDelete {
						return respondWith(204, "", nil), nil
					}
					return respondWith(200, map[string]any{"id": "ch_1"}, nil), nil
				}
				c, err := client.New(client.Config{URL: "https://verify.example.com", APIKey: watchword.NewCode("k"), HTTPClient: &http.Client{Transport: broken}})
				must(t, err)
				repeats := slices.Contains(test.repeated, method)
				if err := call(c); (err == nil) != repeats {
					t.Errorf("error %v", err)
				}
				if keys := broken.keys(); (len(keys) == 2) != repeats || method == http.MethodPost && (keys[0] == "" || keys[0] != keys[len(keys)-1]) {
					t.Errorf("%d requests, keys %q", len(keys), keys)
				}
			})
		}
	}
}

func TestCallWaitsWhileServerAnswersAnEarlierTry(t *testing.T) {
	t.Parallel()
	inFlight := func(headers map[string]string) *http.Response {
		return respondWith(409, map[string]any{"code": "idempotency_in_flight", "status": 409}, headers)
	}
	for name, test := range map[string]struct {
		answeredAfter  time.Duration
		retryAfter     map[string]string
		retries        int
		ok             bool
		least, most    time.Duration // of the call
		fewest, atMost int           // requests
	}{
		"answered after 12 s": {12 * time.Second, nil, 0, true, 12 * time.Second, 14 * time.Second, 13, 30},
		"never answered":      {time.Hour, nil, 0, false, 13 * time.Second, 16 * time.Second, 14, 33},
		"Retry-After":         {10 * time.Second, map[string]string{"Retry-After": "3"}, 1, true, 12 * time.Second, 13 * time.Second, 6, 6},
		"no repetitions":      {time.Second, nil, -1, false, 0, time.Second, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				broken := &brokenTransport{}
				broken.respond = func(n int, _ *http.Request) (*http.Response, error) {
					switch {
					case n == 1 && test.retries >= 0:
						return nil, errors.New("broken")
					case time.Since(began) < test.answeredAfter:
						return inFlight(test.retryAfter), nil
					}
					return respondWith(200, map[string]any{"id": "ch_1"}, nil), nil
				}
				c, err := client.New(client.Config{URL: "https://verify.example.com", APIKey: watchword.NewCode("k"), HTTPClient: &http.Client{Transport: broken}, Retries: test.retries})
				must(t, err)
				_, err = c.CancelChallenge(t.Context(), "ch_1")
				if (err == nil) != test.ok || !test.ok && !errors.Is(err, watchword.ErrIdempotencyInFlight) {
					t.Errorf("error %v", err)
				}
				keys := broken.keys()
				if took := time.Since(began); took < test.least || took > test.most || len(keys) < test.fewest || len(keys) > test.atMost {
					t.Errorf("%d requests in %s", len(keys), took)
				}
				if slices.ContainsFunc(keys, func(k string) bool { return k != keys[0] }) {
					t.Errorf("keys %q", keys)
				}
			})
		})
	}
}

// A server that has too many requests that wait responds to more of them at once.
func TestWaitAsksAtMostOnceASecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		busy := &brokenTransport{respond: func(n int, _ *http.Request) (*http.Response, error) {
			if n > 100 {
				return nil, errors.New("too many requests")
			}
			status := map[bool]string{true: "pending", false: "approved"}[time.Since(began) < 10*time.Second]
			return respondWith(200, map[string]any{"id": "ch_1", "status": status}, nil), nil
		}}
		c, err := client.New(client.Config{URL: "https://verify.example.com", APIKey: watchword.NewCode("k"), HTTPClient: &http.Client{Transport: busy}, Retries: -1})
		must(t, err)
		if read, err := c.WaitChallenge(t.Context(), "ch_1"); err != nil || read.Status != watchword.Approved || len(busy.requests) > 11 {
			t.Errorf("%+v, %v after %d requests", read, err, len(busy.requests))
		}
	})
}

func TestCallEndsWithItsContextAndAfterItsRetries(t *testing.T) {
	t.Parallel()
	broken := &brokenTransport{respond: func(_ int, r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}}
	c, err := client.New(client.Config{URL: "https://verify.example.com", APIKey: watchword.NewCode("k"), HTTPClient: &http.Client{Transport: broken}, Timeout: 10 * time.Millisecond, Retries: 1})
	must(t, err)
	if _, err := c.GetChallenge(t.Context(), "ch_1"); !errors.Is(err, context.DeadlineExceeded) || len(broken.requests) != 2 {
		t.Errorf("%v after %d requests", err, len(broken.requests))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.GetChallenge(ctx, "ch_1"); !errors.Is(err, context.Canceled) || len(broken.requests) > 3 {
		t.Errorf("%v after %d requests", err, len(broken.requests))
	}
}

func TestServerThatAnswersEverythingWithSuccessVerifiesNobody(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]struct {
		status int
		body   string
	}{"no content": {204, ""}, "null": {200, "null"}, "empty object": {200, "{}"}, "no receipt": {200, `{"status": "approved", "receipt": ""}`},
		"pending": {200, `{"status": "pending", "receipt": "eyJ"}`}, "page": {200, "<p>Hello</p>"}} {
		broken := &brokenTransport{respond: func(int, *http.Request) (*http.Response, error) {
			return respondWith(answer.status, answer.body, nil), nil
		}}
		c, err := client.New(client.Config{URL: "https://verify.example.com", APIKey: watchword.NewCode("k"), HTTPClient: &http.Client{Transport: broken}})
		must(t, err)
		check := client.CheckRequest{Purpose: "mfa", Subject: "user_42", Answer: client.Text("123456")}
		_, checked := c.CheckChallenge(t.Context(), "ch_1", check)
		_, redeemed := c.RedeemVerification(t.Context(), "vf_1", client.RedeemRequest{Handle: "hd_1", Purpose: "mfa", Subject: "user_42"})
		_, used := c.RedeemReceipt(t.Context(), "eyJ", "mfa")
		removed := c.RemoveFactor(t.Context(), "fa_1")
		if checked == nil || redeemed == nil || used == nil || removed == nil && answer.status != 204 {
			t.Errorf("%s: checked %v, redeemed %v, used %v, removed %v", name, checked, redeemed, used, removed)
		}
	}
}

func TestResponseWithoutEndIsNotRead(t *testing.T) {
	t.Parallel()
	body := `{"status": "pending", "purpose": "` + strings.Repeat("x", 1<<20) + `"}`
	broken := &brokenTransport{respond: func(int, *http.Request) (*http.Response, error) { return respondWith(200, body, nil), nil }}
	c, err := client.New(client.Config{URL: "https://verify.example.com", APIKey: watchword.NewCode("k"), HTTPClient: &http.Client{Transport: broken}})
	must(t, err)
	if _, err := c.GetChallenge(t.Context(), "ch_1"); err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("a response of more than 1 MiB: %v", err)
	}
}

func TestNewRefusesWrongConfiguration(t *testing.T) {
	t.Parallel()
	key := watchword.NewCode("k")
	for _, cfg := range []client.Config{{}, {URL: "https://verify.example.com"}, {APIKey: key}, {URL: "verify.example.com", APIKey: key}, {URL: "file:///etc", APIKey: key},
		{URL: "https://user:s3cret@verify.example.com", APIKey: key}, {URL: "https://verify.example.com?key=s3cret", APIKey: key},
		{URL: "https://verify.example.com", APIKey: watchword.NewCode("s3cret\n")}} {
		if _, err := client.New(cfg); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}
