package server

import (
	"html"
	"html/template"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
)

// The words of a part depend on what is asked, how its code arrives, and what has ended. They are chosen here; templates show them.

// text returns a text as T does, of a name that is known to exist.
func (l pageTexts) text(name string, pairs ...any) string {
	text, _ := l.T(name, pairs...)
	return text
}

// pick returns the first of the names that has a text, or the last one.
func (l pageTexts) pick(names ...string) string {
	for _, name := range names {
		if l.has(name) {
			return name
		}
	}
	return names[len(names)-1]
}

// Timed returns a text as HTML with a time element in place of {time}. The script shows it in the time zone of the browser.
func (l pageTexts) Timed(name string, at time.Time) template.HTML {
	element := `<time datetime="` + at.UTC().Format(time.RFC3339) + `">` + at.UTC().Format("15:04") + " UTC</time>"
	return template.HTML(strings.ReplaceAll(html.EscapeString(l.text(name)), "{time}", element))
}

// codeArrival returns how the code of a challenge reaches the person: the channel that it is sent by, or the source of a code that
// is not sent.
func codeArrival(v watchword.View) string {
	if v.SentTo != "" {
		return v.Channel
	}
	return string(v.Source)
}

// chooseTitle returns the heading of a part, which is the title of the tab too.
func (v *partView) chooseTitle(part string) string {
	names := []string{part + "_title", "title"}
	switch part {
	case "ask_code", "ask_link":
		names = []string{"code_title_" + codeArrival(v.view), "code_title"}
	case "ask_scan", "ask_codes", "ask_other":
		names = []string{strings.TrimPrefix(part, "ask_") + "_title"}
	case "ask_key":
		names = []string{"key_title"}
		if v.NewKey {
			names = []string{"new_key_title"}
		}
	case "approved":
		names = []string{"approved_title_" + v.occasion(), "approved_title"}
	case "confirmed":
		if v.Next != "" { // this browser goes on
			names = []string{"approved_title_" + v.occasion(), "approved_title"}
		}
	case "expired":
		if v.view.SentTo != "" { // what was not sent, such as a recovery code, works on another page
			names = []string{"expired_title_" + string(v.view.Ask), "expired_title"}
		} else {
			names = []string{"expired_title"}
		}
	case "blocked":
		names = []string{"locked_title"}
	case "locked":
		if v.view.Ask == watchword.AskLink && v.view.TriesLeft > 0 {
			names = []string{"locked_title_number"}
		}
	case "confirm":
		names = []string{"confirm_title_" + v.occasion(), "confirm_title"}
	}
	return v.text(v.pick(names...))
}

// occasion returns what the words about an answer depend on: that there is a transaction, what is enrolled, or the purpose.
func (v *partView) occasion() string {
	switch {
	case len(v.view.Transaction) > 0:
		return "transaction"
	case v.view.Purpose == watchword.PurposeEnrol:
		return "enrol_" + string(v.view.Ask)
	case v.view.Purpose == watchword.PurposeMFA: // a step of signing in
		return "sign_in"
	}
	return v.view.Purpose
}

// ConfirmText returns the sentence of the page of a link.
func (v *partView) ConfirmText() string {
	return v.text(v.pick("confirm_text_"+v.occasion(), "confirm_text"), "app", v.App)
}

// ConfirmGo returns the label of the button that confirms a link.
func (v *partView) ConfirmGo() string {
	return v.text(v.pick("confirm_go_"+v.occasion(), "confirm_go"))
}

// Go returns the label of the button that sends a code.
func (v *partView) Go() string {
	if len(v.view.Transaction) > 0 {
		return v.text("approve")
	}
	return v.text("continue")
}

// describeCode returns the sentence that says where the code is; empty: nobody knows.
func (v *partView) describeCode() template.HTML {
	var text template.HTML
	switch {
	case v.SentTo == "" && v.view.Source == "":
	case v.SentTo == "":
		text = template.HTML(html.EscapeString(v.text(v.pick("code_from_"+string(v.view.Source)), "app", v.App)))
	case v.view.Channel == "voice":
		text, _ = v.Marked("code_called", "to", v.SentTo)
	case v.Length > 0 && !v.Letters:
		text, _ = v.Marked("code_sent_digits", "to", v.SentTo, "n", v.Length)
	default:
		text, _ = v.Marked("code_sent", "to", v.SentTo)
	}
	return text
}

// ResendText returns the label of the button that sends the message again.
func (v *partView) ResendText() string { return v.text(v.pick("resend_"+v.view.Channel, "resend")) }

// ResendWait returns the label of the button while it counts down.
func (v *partView) ResendWait() string {
	return v.text(v.pick("resend_"+v.view.Channel+"_in", "resend_in"))
}

// InsteadText returns the label of the button that sends the code by another channel.
func (v *partView) InsteadText(channel string) string { return v.text("instead_by_" + channel) }

// WrongAddress returns the label of the button that leads back to where the address was typed.
func (v *partView) WrongAddress() string {
	return v.text(v.pick("wrong_address_"+v.view.Channel, "wrong_address"))
}

// Help returns the question above the button.
func (v *partView) Help() string { return v.text(v.pick("help_"+v.view.Channel, "help")) }

// mostBoxes is the length of the longest code whose characters get a box each.
const mostBoxes = 10

// Boxes returns the number of boxes that are drawn for a code; 0: the field is plain.
func (v *partView) Boxes() int {
	if v.Length > mostBoxes {
		return 0
	}
	return v.Length
}

// describeWrongCode returns the text about a wrong code.
func describeWrongCode(texts pageTexts, triesLeft int) string {
	switch {
	case triesLeft == 1:
		return texts.text("wrong_code_last")
	case triesLeft > 1:
		return texts.text("wrong_code_left", "n", triesLeft)
	}
	return texts.text("wrong_code")
}
