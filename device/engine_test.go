package device_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/watchword-auth/watchword"
)

// A valid token answers the start of a listed purpose. The receipt claims possession of a cookie and nothing more.
func testDeviceApproves(t *testing.T, k *kit) {
	token := k.remember(ann)
	req := request(ann)
	req.DeviceToken, req.Nonce, req.Metadata = token, "n-1", map[string]string{"order": "17"}
	s := k.start(req)
	if s.Approved == nil || s.Status != watchword.Approved || s.DeviceToken.IsZero() || s.DeviceToken.Reveal() == token.Reveal() {
		t.Fatalf("%+v", s)
	}
	c := s.Approved.Claims
	if c.Strategy != "device" || c.AMR != nil || c.ACR != "" || c.Extra != nil || c.Subject != ann || c.Purpose != "mfa" || c.Nonce != "n-1" ||
		c.Verification != s.ID || !strings.HasPrefix(c.ID, "ch_") || c.Factor != k.devices(ann)[0].ID || c.Channel != "" || c.AddressHash != "" {
		t.Errorf("claims %+v", c)
	}
	if err := k.RedeemReceipt(t.Context(), *c, "mfa", nil); err != nil {
		t.Errorf("redeem the receipt: %v", err)
	}
	wantError(t, "redeem it again", k.RedeemReceipt(t.Context(), *c, "mfa", nil), watchword.ErrReceiptUsed)
	_, err := k.RedeemVerification(t.Context(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "mfa", Subject: ann})
	wantError(t, "collect it again", err, watchword.ErrReceiptUsed)
	if v, err := k.VerificationStatus(t.Context(), s.ID); err != nil || v.Status != watchword.Approved {
		t.Errorf("status %s, %v", v.Status, err)
	}
	if n := len(k.eventsOf(watchword.EventVerificationApproved)); n != 2 { // the one that earned the trust, and this one
		t.Errorf("%d events verification.approved", n)
	}
	if enrolled := k.eventsOf(watchword.EventFactorEnrolled); len(enrolled) != 1 || enrolled[0].Strategy != "device" || enrolled[0].Subject != ann {
		t.Errorf("events %+v", enrolled)
	}
	if e := k.eventsOf(watchword.EventApproved); len(e) != 0 {
		t.Errorf("events %+v", e)
	}
}

// All uses of a token get the same successor, also a minute after that was presented; and then the tabs have one cookie.
func testParallelTabs(t *testing.T, k *kit) {
	first := k.remember(ann)
	second := k.wantApproved("tab 1", ann, first)
	if again := k.wantApproved("tab 2", ann, first); again.Reveal() != second.Reveal() {
		t.Error("two tabs got different tokens")
	}
	third := k.wantApproved("the successor", ann, second)
	k.advance(59 * time.Second)
	if late := k.wantApproved("a tab that is late", ann, first); late.Reveal() != second.Reveal() {
		t.Error("the late tab got another token than the others")
	}
	if again := k.wantApproved("the successor in another tab", ann, second); again.Reveal() != third.Reveal() {
		t.Error("two tabs got different tokens")
	}
	var all sync.WaitGroup
	for range 8 { // tabs that are restored together
		all.Go(func() {
			s, err := k.StartVerification(context.Background(), func() watchword.VerificationRequest { r := request(ann); r.DeviceToken = third; return r }())
			if err != nil || s.Approved == nil {
				t.Errorf("a restored tab: %+v, %v", s, err)
			}
		})
	}
	all.Wait()
	if n := len(k.devices(ann)); n != 1 {
		t.Errorf("%d devices", n)
	}
}

// A browser whose responses were lost goes on with the token that it has, however late. With the same seed it gets the same receipt.
func testLostReply(t *testing.T, k *kit) {
	token := k.remember(ann)
	for range 3 {
		k.wantApproved("a response that is lost", ann, token)
		k.advance(time.Hour)
	}
	req := request(ann)
	req.DeviceToken, req.Seed = token, []byte("request 1")
	first, again := k.start(req), k.start(req)
	if first.Approved == nil || again.Approved == nil || again.ID != first.ID || again.Approved.Claims.ID != first.Approved.Claims.ID ||
		again.Approved.Claims.ExpiresAt != first.Approved.Claims.ExpiresAt || again.DeviceToken.Reveal() != first.DeviceToken.Reveal() {
		t.Errorf("first %+v, again %+v", first, again)
	}
	if n := len(k.eventsOf(watchword.EventVerificationStarted)); n != 5 {
		t.Errorf("%d verifications started, want 5", n)
	}
	// The response to the check that made the device trusted was lost.
	req = request("user_7")
	req.RememberDevice = true
	s := k.start(req)
	check := checkOf(req, k.code(s))
	check.Seed = []byte("request 2")
	var tokens []string
	for range 2 {
		r, err := k.CheckVerification(t.Context(), s.ID, check)
		if err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, r.DeviceToken.Reveal())
	}
	if tokens[0] == "" || tokens[0] != tokens[1] || len(k.devices("user_7")) != 1 {
		t.Errorf("the same request made %d devices", len(k.devices("user_7")))
	}
}

// A copy of the cookie that is used after the other browser went on removes the device, whichever of the two is the owner's. The event
// is sent once.
func testStolenCopy(t *testing.T, k *kit) {
	for _, who := range []string{"the copy is late", "the owner is late"} {
		copied := k.remember(ann)
		current := k.wantApproved(who, ann, copied)
		current = k.wantApproved(who, ann, current)
		k.advance(time.Minute)
		before := len(k.eventsOf(watchword.EventDeviceReused))
		id := k.devices(ann)[0].ID
		k.wantIgnored(who+", the copy", ann, copied)
		reused := k.eventsOf(watchword.EventDeviceReused)[before:]
		if len(reused) != 1 || reused[0].Factor != id || reused[0].Subject != ann || reused[0].Strategy != "device" {
			t.Errorf("%s: events %+v", who, reused)
		}
		if len(k.devices(ann)) != 0 {
			t.Errorf("%s: the device is still listed", who)
		}
		k.wantIgnored(who+", the current token", ann, current)
		k.wantIgnored(who+", the copy again", ann, copied)
		if n := len(k.eventsOf(watchword.EventDeviceReused)); n != before+1 {
			t.Errorf("%s: %d events", who, n-before)
		}
	}
	// Another subject's request with an old token removes nothing.
	copied := k.remember(ann)
	current := k.wantApproved("the owner", ann, k.wantApproved("the owner", ann, copied))
	k.advance(time.Hour)
	k.wantIgnored("for another subject", "user_43", copied)
	other := newKit(t, k.App()+"-2", k.config.Factors)
	other.wantIgnored("in another app", ann, copied)
	k.wantApproved("the owner afterwards", ann, current)
}

// Several nodes get the same token at once: all accept it, with one successor; an old one removes the device once.
func testTwoNodes(t *testing.T, k *kit) {
	nodes := []*watchword.Engine{k.Engine, k.newNode()}
	old := k.remember(ann)
	token := k.wantApproved("first", ann, old)
	race := func(token watchword.Code) (approved int, successors map[string]bool) {
		successors = map[string]bool{}
		var all sync.WaitGroup
		var mu sync.Mutex
		for i := range 8 {
			all.Go(func() {
				req := request(ann)
				req.DeviceToken = token
				s, err := nodes[i%2].StartVerification(context.Background(), req)
				if err != nil {
					t.Errorf("node %d: %v", i%2, err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				if s.Approved != nil {
					approved++
					successors[s.DeviceToken.Reveal()] = true
				}
			})
		}
		all.Wait()
		return approved, successors
	}
	for range 5 { // each time the token is presented for the first time
		approved, successors := race(token)
		if approved != 8 || len(successors) != 1 {
			t.Fatalf("%d approved with %d successors", approved, len(successors))
		}
		for s := range successors {
			token = watchword.NewCode(s)
		}
		k.advance(time.Second)
	}
	k.advance(time.Minute)
	if approved, _ := race(old); approved != 0 {
		t.Errorf("%d approved with an old token", approved)
	}
	if n := len(k.eventsOf(watchword.EventDeviceReused)); n != 1 || len(k.devices(ann)) != 0 {
		t.Errorf("%d events device.reused, %d devices", n, len(k.devices(ann)))
	}
}

// What a device does not answer. A valid token makes the client trusted all the same, an invalid one changes nothing.
func testRefusals(t *testing.T, k *kit) {
	token := k.remember(ann)
	for what, change := range map[string]func(*watchword.VerificationRequest){
		"another purpose":    func(r *watchword.VerificationRequest) { r.Purpose = "sign_in" },
		"password_reset":     func(r *watchword.VerificationRequest) { r.Purpose = watchword.PurposePasswordReset },
		"manage_factors":     func(r *watchword.VerificationRequest) { r.Purpose = watchword.PurposeManageFactors },
		"a transaction":      func(r *watchword.VerificationRequest) { r.Transaction = map[string]string{"amount": "40.00"} },
		"phishing_resistant": func(r *watchword.VerificationRequest) { r.Require = watchword.RequirePhishingResistant },
		"mfa":                func(r *watchword.VerificationRequest) { r.Require = watchword.RequireMFA },
		"a decoy":            func(r *watchword.VerificationRequest) { r.Decoy = true },
	} {
		req := request(ann)
		req.DeviceToken = token
		change(&req)
		s, err := k.StartVerification(t.Context(), req)
		if req.Require != "" {
			wantError(t, what, err, watchword.ErrNotEnrolled) // no method of the request meets it, and the device does not
			continue
		}
		if err != nil || s.Approved != nil || s.Status != watchword.Pending || !s.Client.Known || s.DeviceToken.IsZero() {
			t.Errorf("%s: %+v, %v", what, s, err)
		}
	}
	k.wantApproved("another listed purpose", ann, token)
	k.wantIgnored("another subject", "user_43", token)
	req := request(ann)
	req.Subject, req.DeviceToken = "", token
	k.wantNoApproval("no subject", req)
	other := newKit(t, k.App()+"-2", k.config.Factors)
	other.wantIgnored("another app", ann, token)
	text := token.Reveal()
	for what, invalid := range map[string]string{
		"garbage": "x", "a prefix alone": "dv_", "another secret": changeEnd(text), "cut short": text[:len(text)-1], "longer": text + "A",
		"in upper case": strings.ToUpper(text), "with a space": " " + text, "very long": strings.Repeat("dv_", 1<<15),
	} {
		k.wantIgnored(what, ann, watchword.NewCode(invalid))
	}
	_, err := k.Start(t.Context(), watchword.StartRequest{Strategy: "device", Purpose: "mfa", Subject: ann})
	wantError(t, "a challenge of a device", err, watchword.ErrInvalidRequest)
	_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "device", Purpose: watchword.PurposeEnrol, Subject: ann})
	wantError(t, "enrolling a device", err, watchword.ErrInvalidRequest)
	req = request(ann)
	req.Methods = append(req.Methods, watchword.MethodRequest{Strategy: "device"})
	_, err = k.StartVerification(t.Context(), req)
	wantError(t, "a device as a method", err, watchword.ErrInvalidRequest)
	engine := k.Engine
	k.Engine = k.newNode(func(c *watchword.Config) { c.TrustedDevices = watchword.TrustedDevices{} })
	k.wantIgnored("an app without trusted devices", ann, token)
	k.Engine = engine
	k.advance(month)
	k.wantIgnored("after its lifetime", ann, token)
	if len(k.devices(ann)) != 0 {
		t.Error("listed after its lifetime")
	}
}

// A device ends when it is removed, with its subject, and a verification that was open then makes no device any more.
func testRemoval(t *testing.T, k *kit) {
	ctx := t.Context()
	token := k.remember(ann)
	if err := k.RemoveFactor(ctx, k.devices(ann)[0].ID, watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	k.wantIgnored("removed", ann, token)
	k.advance(2 * time.Minute)
	req := request(ann)
	req.RememberDevice = true
	first := k.start(req)
	check := checkOf(req, k.code(first))
	check.Seed = []byte("one request")
	for n := range 3 { // the request, its repetition, and one after the removal
		if n == 2 {
			if err := k.RemoveFactor(ctx, k.devices(ann)[0].ID, watchword.Authority{}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := k.CheckVerification(ctx, first.ID, check)
		if err != nil || r.DeviceToken.IsZero() != (n == 2) || len(k.devices(ann)) != map[bool]int{false: 1}[n == 2] {
			t.Fatalf("request %d of the verification that made the device trusted: %+v, %v; %d devices", n, r, err, len(k.devices(ann)))
		}
	}
	token = k.remember(ann)
	open := k.start(req)
	k.advance(time.Second)
	if err := k.RemoveSubject(ctx, ann, watchword.Authority{}); err != nil {
		t.Fatal(err)
	}
	k.wantIgnored("its subject removed", ann, token)
	r, err := k.CheckVerification(ctx, open.ID, checkOf(req, k.code(open)))
	if err != nil || !r.DeviceToken.IsZero() || len(k.devices(ann)) != 0 {
		t.Errorf("a verification from before the removal: %+v, %v; %d devices", r, err, len(k.devices(ann)))
	}
	if len(k.eventsOf(watchword.EventDeviceReused)) != 0 {
		t.Error("event device.reused")
	}
}

// A device ends with the factor that earned its trust: when that is removed and when it is replaced.
func testEarner(t *testing.T, k *kit) {
	ctx := t.Context()
	codes := k.enrolRecovery(ann)
	byCode, byMail := k.rememberByRecovery(ann, codes[1]), k.remember(ann)
	k.wantApproved("while the set is there", ann, byCode)
	k.advance(time.Minute)
	codes = k.enrolRecovery(ann)
	k.wantIgnored("after the set was replaced", ann, byCode)
	k.wantApproved("of another method", ann, byMail)
	byCode = k.rememberByRecovery(ann, codes[1])
	k.wantApproved("of the new set", ann, byCode)
	all, err := k.ListFactors(ctx, ann)
	if err != nil || len(all) != 3 {
		t.Fatalf("%d factors: %v", len(all), err)
	}
	set := all[slices.IndexFunc(all, func(f watchword.Factor) bool { return f.Strategy == "recovery" })]
	if err := k.RemoveFactor(ctx, set.ID, watchword.Authority{Admin: true}); err != nil {
		t.Fatal(err)
	}
	k.wantIgnored("after the set was removed", ann, byCode)
	if n := len(k.devices(ann)); n != 1 {
		t.Errorf("%d devices listed, want 1", n)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) { // removed in the background
		if stored, err := k.config.Factors.List(ctx, k.App(), ann); err == nil && len(stored) == 2 || time.Now().After(deadline) {
			if err != nil || len(stored) != 2 { // the device by mail, and the entry of the subject's set
				t.Errorf("%d rows, %v", len(stored), err)
			}
			break
		}
	}
	k.wantApproved("of another method", ann, byMail)
}

// A subject has 20 devices at most; the next one replaces the oldest one.
func testCap(t *testing.T, k *kit) {
	var tokens []watchword.Code
	for range 22 {
		tokens = append(tokens, k.remember(ann))
		k.advance(time.Second)
	}
	if n := len(k.devices(ann)); n != 20 {
		t.Errorf("%d devices", n)
	}
	for i, token := range tokens {
		if i < 2 {
			k.wantIgnored("one of the oldest", ann, token)
		} else if i%6 == 2 || i == 21 {
			k.wantApproved("a newer one", ann, token)
		}
	}
	if n := len(k.eventsOf(watchword.EventFactorRemoved)); n != 2 {
		t.Errorf("%d events factor.removed", n)
	}
	// They use up no places: 50 other factors are kept beside them, and enrolling the first needs no proof.
	s, err := k.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: watchword.PurposeEnrol, Subject: ann})
	if err != nil || s.Public["codes"] == nil {
		t.Errorf("the first factor beside 20 devices: %v", err)
	}
}

// A device authorizes no change of factors, and its receipt is no proof.
func testNoAuthority(t *testing.T, k *kit) {
	ctx := t.Context()
	codes := k.enrolRecovery(ann)
	set := k.mustFactor(ann)
	token := k.rememberByRecovery(ann, codes[1])
	s := k.present(ann, token)
	if s.Approved == nil {
		t.Fatal("not approved")
	}
	claims := *s.Approved.Claims
	for what, a := range map[string]watchword.Authority{"no proof": {}, "the device's receipt": {Claims: &claims}} {
		wantError(t, what+", remove", k.RemoveFactor(ctx, set.ID, a), watchword.ErrProofRequired)
		wantError(t, what+", remove the subject", k.RemoveSubject(ctx, ann, a), watchword.ErrProofRequired)
		_, err := k.RenameFactor(ctx, set.ID, "mine", a)
		wantError(t, what+", rename", err, watchword.ErrProofRequired)
		_, err = k.Start(ctx, watchword.StartRequest{Strategy: "recovery", Purpose: watchword.PurposeEnrol, Subject: ann, Authority: a})
		wantError(t, what+", enrol", err, watchword.ErrProofRequired)
	}
	// A receipt with another purpose would be forged; even then its strategy proves nothing.
	forged := claims
	forged.Purpose = watchword.PurposeManageFactors
	wantError(t, "as manage_factors", k.RemoveFactor(ctx, set.ID, watchword.Authority{Claims: &forged}), watchword.ErrProofRequired)
	req := request(ann)
	req.Purpose, req.DeviceToken = watchword.PurposeManageFactors, s.DeviceToken
	if s := k.start(req); s.Approved != nil {
		t.Error("a device answered manage_factors")
	}
}

// mustFactor returns the subject's only factor.
func (k *kit) mustFactor(subject string) watchword.Factor {
	k.t.Helper()
	all, err := k.ListFactors(context.Background(), subject)
	if err != nil || len(all) != 1 {
		k.t.Fatalf("%d factors: %v", len(all), err)
	}
	return all[0]
}

// Devices are listed with a readable name and their last use, and can be renamed.
func testListing(t *testing.T, k *kit) {
	began := k.time()
	token := k.remember(ann)
	d := k.devices(ann)[0]
	if d.Label != "Firefox on Linux" || d.Public["browser"] != "Firefox" || d.Public["system"] != "Linux" || !d.CreatedAt.Equal(began) || !d.LastUsedAt.IsZero() || d.Disabled || d.Data != nil {
		t.Errorf("%+v", d)
	}
	k.advance(time.Hour)
	used := k.time()
	token = k.wantApproved("used", ann, token)
	k.advance(time.Second)
	k.wantApproved("used again at once", ann, token)
	if got := k.devices(ann)[0].LastUsedAt; got.Before(used) || got.After(k.time()) {
		t.Errorf("last used %s, want %s", got, used)
	}
	renamed, err := k.RenameFactor(t.Context(), d.ID, "The old laptop", watchword.Authority{})
	if err != nil || renamed.Label != "The old laptop" {
		t.Errorf("%+v, %v", renamed, err)
	}
	k.wantApproved("renamed", ann, token)
}
