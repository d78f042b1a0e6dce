package watchword

import (
	"context"
	"log/slog"
	"maps"
	"strings"
)

// contradictions lists the fields in which the caller's word is not the challenge's: another purpose, somebody else, another
// transaction. Such an answer is wrong, whatever it says. A discoverable passkey's challenge names nobody.
func contradictions(rec *record, a *attempt) (fields []string) {
	if a.purpose != rec.Purpose {
		fields = append(fields, "purpose")
	}
	if !sameRespondent(a.respondent, rec) {
		fields = append(fields, respondentField(a.respondent))
	}
	if a.mismatch || a.transaction != nil && !maps.Equal(a.transaction, rec.Transaction) {
		fields = append(fields, "transaction")
	}
	return fields
}

func contradicts(rec *record, a *attempt) bool { return len(contradictions(rec, a)) > 0 }

// sameRespondent compares the caller's word with the challenge.
func sameRespondent(claimed string, rec *record) bool {
	return claimed == respondentOf(rec.Subject, rec.Address)
}

// respondentField is the request's field that the result of who came from.
func respondentField(claimed string) string {
	if strings.HasPrefix(claimed, "address ") {
		return "to"
	}
	return "subject"
}

// explainsContradictions reports whether somebody wants to know why an answer contradicts its challenge.
func (e *Engine) explainsContradictions(ctx context.Context) bool {
	return e.cfg.Development || e.log.Enabled(ctx, slog.LevelDebug)
}

// explainContradiction logs in which fields a wrong answer contradicts its challenge, so that a wrong call is not taken for a person who
// mistyped. In development the answer to the caller holds it too. Neither holds what the caller sent.
func (e *Engine) explainContradiction(ctx context.Context, rec *record, a *attempt) map[string]any {
	fields := contradictions(rec, a)
	if len(fields) == 0 {
		return nil
	}
	e.log.DebugContext(ctx, "answer contradicts its challenge", "challenge", rec.ID, "fields", fields, "purpose", rec.Purpose)
	if !e.cfg.Development {
		return nil
	}
	details := map[string]any{}
	for _, f := range fields {
		details[f] = contradictionReason(f, rec)
	}
	return details
}

// contradictionReason says what to send instead in a field that contradicts the challenge.
func contradictionReason(field string, rec *record) string {
	switch {
	case field == "purpose":
		return "is not the start's, which is " + rec.Purpose
	case field == "transaction":
	case rec.Subject == "" && rec.Address == "":
		return "is not the start's, which named nobody: leave it out"
	case field == "to" && rec.Subject != "":
		return "is not the start's, which named a subject: repeat subject"
	case field == "subject" && rec.Subject == "":
		return "is not the start's, which named an address alone: repeat to"
	}
	return "is not the start's"
}

// explainUnreadContradiction is explain for an answer that the store compared, so that the challenge was not read. That is read only if
// somebody wants to know.
func (e *Engine) explainUnreadContradiction(ctx context.Context, i challengeID, a *attempt) map[string]any {
	if a.mark != markCollected || !e.explainsContradictions(ctx) {
		return nil
	}
	_, rec, err := e.read(ctx, i)
	if err != nil {
		return nil
	}
	return e.explainContradiction(ctx, rec, a)
}
