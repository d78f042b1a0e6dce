package server

import (
	"fmt"
	"strings"

	"github.com/watchword-auth/watchword"
)

// A methodRow is one method of the choice.
type methodRow struct {
	ID    string
	Label string
	Ended bool // it cannot be chosen any more
}

// newChoice returns the data of the methods to choose from. It says why the method that was open is open no more.
func (ps *pageServer) newChoice(x *exchange, session *verificationSession) *partView {
	p := session.page
	v := ps.newPartView(x, session.app, describedChallenge(p.VerificationView))
	v.embed(session)
	v.state = verificationState(p.VerificationView)
	for _, m := range p.Methods {
		v.Choices = append(v.Choices, methodRow{m.ID, describeMethod(v.pageTexts, m), !canBeChosen(m)})
		if m.ID == p.Method {
			v.Notice = describeEndedMethod(v.pageTexts, m)
		}
	}
	return v
}

// canBeChosen reports whether a method can be opened: for the first time, again, or anew after it has expired.
func canBeChosen(m watchword.MethodView) bool {
	return m.Status == "" || m.Status == watchword.Pending || m.Status == watchword.Expired
}

// describeEndedMethod returns the text about a method that has ended without a right answer; empty if it has not.
func describeEndedMethod(texts pageTexts, m watchword.MethodView) (text string) {
	switch m.Status {
	case watchword.Locked:
		text, _ = texts.T("method_locked")
	case watchword.Expired:
		text, _ = texts.T("method_expired")
	case watchword.Canceled:
		text, _ = texts.T("method_gone")
	}
	return text
}

// describeMethod returns what choosing a method does, as the label of a button. It depends on the ask, the channel and the source
// of the code, and not on the strategy.
func describeMethod(texts pageTexts, m watchword.MethodView) string {
	name := "method_other"
	switch {
	case m.Ask == watchword.AskKey:
		name = "method_key"
	case m.Ask == watchword.AskLink:
		name = "method_link_" + m.Channel
	case m.Ask == watchword.AskCode && m.SentTo != "":
		name = "method_code_" + m.Channel
	case m.Ask == watchword.AskCode:
		name = "method_code_" + string(m.Source)
	}
	if !texts.has(name) {
		name = "method_other"
		if m.SentTo != "" {
			name = "method_code_other"
		}
	}
	text, _ := texts.T(name, "to", m.SentTo)
	return text
}

// describeFallback returns the text about a method that the engine has opened because a message did not arrive; empty if it has
// opened none, or if another method is shown.
func describeFallback(texts pageTexts, v watchword.VerificationView) string {
	if v.Fallback.Method == "" || v.Fallback.Method != v.Method {
		return ""
	}
	channels := map[string]string{}
	for _, m := range v.Methods {
		channels[m.ID] = m.Channel
	}
	late, _ := texts.T(knownChannel(texts, "late_", channels[v.Fallback.From]))
	instead, _ := texts.T(knownChannel(texts, "instead_", channels[v.Fallback.Method]))
	if strings.HasSuffix(late, "。") { // sentences of Chinese and Japanese follow without a space
		return late + instead
	}
	return late + " " + instead
}

// knownChannel returns the name of the text about a channel, or of the text about every other one.
func knownChannel(texts pageTexts, prefix, channel string) string {
	if texts.has(prefix + channel) {
		return prefix + channel
	}
	return prefix + "other"
}

// verificationState returns a text that changes when something happens that the page must show though nobody asked for it: the
// engine has opened a method, a method has ended for good, or the open one has expired.
func verificationState(v watchword.VerificationView) string {
	state := []string{v.Fallback.Method}
	for _, m := range v.Methods {
		if !canBeChosen(m) || m.ID == v.Method && m.Status == watchword.Expired {
			state = append(state, fmt.Sprint(m.ID, "-", m.Status))
		}
	}
	return strings.Join(state, " ")
}
