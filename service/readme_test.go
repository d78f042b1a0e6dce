package service_test

import (
	"context"
	"os"
	"regexp"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/smtp"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/service"
	"github.com/watchword-auth/watchword/store/memory"
)

// exampleOfReadme is what README.md and docs/library.md show (TestDocumentsShowTheExample). It needs keys and a mail server, so it is compiled
// and not run; Example runs the same with keys and an inbox of its own.
func exampleOfReadme(ctx context.Context, client watchword.Client, typed string) (*watchword.Result, error) {
	keys, _ := service.LoadKeys("keys") // watchword keys new --dir keys
	mail, _ := delivery.Openers{"smtps": smtp.Open}.Open(ctx, "smtps://user:password@smtp.example.com?from=noreply@example.com", delivery.Environment{})
	codes, _ := otp.New(otp.Config{})
	s, _ := service.New(service.Config{
		App: "shop", Name: "Example Shop", URL: "https://shop.example.com", Keys: keys,
		Store: memory.New(memory.Config{}), Strategies: []watchword.Strategy{codes},
		Senders: map[string][]delivery.Provider{"email": {{Name: "smtp", Sender: mail}}},
	})
	defer s.Close()

	started, err := s.Engine.Start(ctx, watchword.StartRequest{Strategy: "otp", Channel: "email", To: "ann@example.com", Purpose: "sign_in", Client: client})
	if err != nil {
		return nil, err
	}
	// keep started.ID in the session, and let the person type the code
	result, err := s.Engine.Check(ctx, started.ID, watchword.CheckRequest{To: "ann@example.com", Purpose: "sign_in", Answer: watchword.AnswerCode(typed), Client: client})
	return result, err
}

var _ = exampleOfReadme

// The sender that the documents open has every parameter that it needs.
func TestSenderOfDocumentsOpens(t *testing.T) {
	for _, file := range []string{"../README.md", "../docs/library.md", "doc.go", "readme_test.go"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		url := regexp.MustCompile(`"(smtps://[^"]+)"`).FindSubmatch(text)
		if url == nil {
			t.Fatalf("%s opens no sender", file)
		}
		if _, err := (delivery.Openers{"smtps": smtp.Open}).Open(t.Context(), string(url[1]), delivery.Environment{}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}
