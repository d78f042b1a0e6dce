package twilio_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

func TestSendRejectsWhatsAppWithoutTemplate(t *testing.T) {
	f := startFakeTwilio(t, answerCreated)
	requirePermanent(t, f.open(t, "from=%2B14155550100"), newMessage("whatsapp"))
	if len(f.forms) != 0 {
		t.Errorf("%d requests", len(f.forms))
	}
}

func TestSendWithAPIKeyPostsToItsAccount(t *testing.T) {
	f := startFakeTwilio(t, answerCreated)
	f.user = "SK1"
	for channel, path := range map[string]string{"sms": "Messages", "whatsapp": "Messages", "voice": "Calls"} {
		if _, err := f.open(t, "from=%2B14155550100&content_sid=HX1&account=AC9").Send(t.Context(), newMessage(channel)); err != nil {
			t.Error(err)
		}
		if got := f.paths[len(f.paths)-1]; got != "POST /2010-04-01/Accounts/AC9/"+path+".json" {
			t.Errorf("%s is posted to %s", channel, got)
		}
	}
}

// A variable must show every row of the transaction; otherwise the message is refused before it is sent.
func TestSendRequiresTemplateToShowTransaction(t *testing.T) {
	pays := func() watchword.Message {
		m := newMessage("whatsapp")
		m.Text = "492039 is your code.\naction: change IBAN."
		m.Transaction = map[string]string{"new_iban": "DE89 3704", "amount": "40.00", "action": "change IBAN"}
		return m
	}
	for variables, want := range map[string]string{
		"":                                    "",
		"&content_variables=1:code,2:app":     "",
		"&content_variables=1:code,x:minutes": "",
		"&content_variables=1:text":           `{"1":"492039 is your code. action: change IBAN."}`,
		"&content_variables=1:code,2:transaction": `{"1":"492039","2":"Amount: 40.00, Action: change IBAN, New iban: DE89 3704"}`,
	} {
		f := startFakeTwilio(t, answerCreated)
		sender := f.open(t, "from=%2B14155550100&content_sid=HX1"+variables)
		checked := sender.(delivery.MessageChecker).CheckMessage(pays())
		if errors.Is(checked, watchword.ErrInvalidRequest) != (want == "") {
			t.Errorf("%q: %v", variables, checked)
		}
		if want == "" {
			requirePermanent(t, sender, pays())
		} else if _, err := sender.Send(t.Context(), pays()); err != nil || f.forms[0].Get("ContentVariables") != want {
			t.Errorf("%q: %v; %s", variables, err, f.forms[0].Get("ContentVariables"))
		}
		if sent := len(f.forms); sent == 0 != (want == "") {
			t.Errorf("%q: %d requests", variables, sent)
		}
		sms := pays()
		sms.Channel = "sms"
		if err := sender.(delivery.MessageChecker).CheckMessage(sms); err != nil {
			t.Errorf("an SMS: %v", err)
		}
	}
}

// Twilio rejects empty variables (error 21656), so a template for links cannot be used for codes, nor the other way round.
func TestSendRejectsTemplateWithEmptyVariable(t *testing.T) {
	f := startFakeTwilio(t, answerCreated)
	link := newMessage("whatsapp")
	link.Code, link.Link = watchword.Code{}, watchword.NewCode("https://verify.example.com/l/ch_1#t")
	requirePermanent(t, f.open(t, "from=%2B14155550100&content_sid=HX1"), link)
	requirePermanent(t, f.open(t, "from=%2B14155550100&content_sid=HX1&content_variables=1:link"), newMessage("whatsapp"))
	if len(f.forms) != 0 {
		t.Errorf("%d requests", len(f.forms))
	}
	if _, err := f.open(t, "from=%2B14155550100&content_sid=HX1&content_variables=1:link").Send(t.Context(), link); err != nil || !strings.Contains(f.forms[0].Get("ContentVariables"), "/l/ch_1#t") {
		t.Errorf("%v", err)
	}
}
