package enginetest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
)

// invisibleTexts are texts in which something cannot be seen, or changes how the rest is seen, and whether a label may be one.
func invisibleTexts() map[string]bool {
	out := map[string]bool{}
	for _, r := range []rune{'\u00ad', '\u034f', '\u061c', '\u115f', '\u17b4', '\u180e', '\u200b', '\u200e', '\u200f', '\u202a', '\u202b',
		'\u202c', '\u202d', '\u202e', '\u2060', '\u2064', '\u2066', '\u2069', '\u206f', '\u3164', '\ufeff', '\uffa0', '\ufff9', '\U0001bca0', '\U000e0001', '\U000e0041'} {
		out["user"+string(r)+"42"] = false
		out[string(r)] = false
	}
	for _, r := range []rune{'\u200c', '\u200d', '\ufe0e', '\ufe0f', '\U000e0100'} {
		out["user"+string(r)+"42"] = true
	}
	return out
}

// invalidSubjects are texts that can be seen and still name no subject.
var invalidSubjects = []string{".", "..", "/", " user_42", "user_42 ", "\u00a0user_42", "user_42\u3000", " ", "a\tb", "a\nb", "a\x00b", "a\u2028b", "a\x7fb", strings.Repeat("a", 256)}

// validSubjects are subjects, odd ones too.
var validSubjects = []string{"user_42", "a", "...", "..a", "a..", "./.", "../..", "a/b", "/a", "//", "a b", "a?b", "a#b", "%2F", "%", "%2e", "a\\b", "ann@example.com", "ü", "用户", "كاربر",
	"؀1", strings.Repeat("a", 255)}

// requireInvalidField is a refusal as invalid that names one field.
func requireInvalidField(t *testing.T, what string, err error, field string) {
	t.Helper()
	var known *watchword.Error
	if !errors.As(err, &known) || !errors.Is(err, watchword.ErrInvalidRequest) || len(known.Fields) != 1 || known.Fields[0].Field != field {
		t.Errorf("%s: %v, want %s to be invalid", what, err, field)
	}
}

func refusedSubjects() []string {
	out := slices.Clone(invalidSubjects)
	for text := range invisibleTexts() {
		out = append(out, text)
	}
	return out
}

func TestStartRefusesInvisibleOrUnsafeSubject(t *testing.T) {
	k := newKit(t)
	start := func(subject string) error {
		req := startByEmail()
		req.Subject = subject
		_, err := k.Start(context.Background(), req)
		return err
	}
	for _, subject := range refusedSubjects() {
		requireInvalidField(t, fmt.Sprintf("%+q", subject), start(subject), "subject")
	}
	for _, subject := range validSubjects {
		if err := start(subject); err != nil {
			t.Errorf("%+q: %v", subject, err)
		}
	}
}

// No challenge has such a subject, so there is nothing to compare and nothing to charge.
func TestCheckChargesNoTryForInvalidSubject(t *testing.T) {
	k := newKit(t)
	s := k.start(startByEmail())
	for _, subject := range refusedSubjects() {
		_, err := k.check(s.ID, k.code(s.ID), func(r *watchword.CheckRequest) { r.Subject = subject })
		requireInvalidField(t, fmt.Sprintf("check by %+q", subject), err, "subject")
		_, err = k.Redeem(context.Background(), s.ID, watchword.RedeemRequest{Handle: s.Handle.Reveal(), Purpose: "sign_in", Subject: subject})
		requireInvalidField(t, fmt.Sprintf("redeem by %+q", subject), err, "subject")
	}
	if v, err := k.Status(context.Background(), s.ID); err != nil || v.TriesLeft != s.TriesLeft {
		t.Errorf("%d tries are left, %v", v.TriesLeft, err)
	}
	if _, err := k.check(s.ID, k.code(s.ID)); err != nil {
		t.Error(err)
	}
}

func TestImportFactorRefusesInvisibleOrUnsafeSubject(t *testing.T) {
	k := newEnrolmentKit(t)
	put := func(subject, label string) error {
		return k.ImportFactor(context.Background(), watchword.Factor{ID: "fa_1", Strategy: "weak", Subject: subject, Label: label}, watchword.Authority{Admin: true})
	}
	for _, subject := range append(refusedSubjects(), "") {
		requireInvalidField(t, fmt.Sprintf("%+q", subject), put(subject, "Phone"), "subject")
	}
	requireInvalidField(t, "a label", put("user_42", "Ph\u202eone"), "label")
}

// A label or a transaction is read by people who decide by it.
func TestStartRefusesInvisibleText(t *testing.T) {
	k := newEnrolmentKit(t)
	r, err := k.enrol("weak", watchword.Authority{})
	if err != nil {
		t.Fatal(err)
	}
	for text, allowed := range invisibleTexts() {
		ctx, what := context.Background(), fmt.Sprintf("%+q", text)
		_, renamed := k.RenameFactor(ctx, r.Factor.ID, text, watchword.Authority{Admin: true})
		_, labeled := k.Start(ctx, watchword.StartRequest{Strategy: "weak", Purpose: "enrol", Subject: "user_43", Label: text})
		req := startByEmail()
		req.To, req.Transaction = strings.ReplaceAll(fmt.Sprintf("%x@example.com", text), " ", ""), map[string]string{"payee": text}
		_, approved := k.Start(ctx, req)
		if allowed {
			if err := errors.Join(renamed, labeled, approved); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		requireInvalidField(t, what+" as another label", renamed, "label")
		requireInvalidField(t, what+" as a label", labeled, "label")
		requireInvalidField(t, what+" in a transaction", approved, "transaction")
		req.Transaction = map[string]string{text: "40.00"}
		_, approved = k.Start(ctx, req)
		requireInvalidField(t, what+" as the name of an entry", approved, "transaction")
	}
}
