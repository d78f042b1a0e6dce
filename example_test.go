package watchword_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/receipt"
	"github.com/watchword-auth/watchword/store/memory"
)

// The whole program: a code is sent to a mailbox, the person types it, and the app gets a receipt. The error handling is
// left out here; see examples/ for a whole app.
func Example() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ring, identity, signing := exampleKeys()
	mail := make(exampleMailbox, 1)

	queue := delivery.NewQueue(1000, nil)
	codes, _ := otp.New(otp.Config{})
	addresses, _ := delivery.NewAddressPolicy(delivery.Addresses{})
	engine, _ := watchword.New(watchword.Config{App: "shop", Issuer: "https://shop.example", Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Outbox: queue, Strategies: []watchword.Strategy{codes}, Addresses: addresses, Channels: []string{"email"}})
	worker, _ := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: mail})
	go worker.Run(ctx)
	started, _ := engine.Start(ctx, watchword.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: "email", To: "ann@example.com"})
	typed := mail.read() // by the person
	result, err := engine.Check(ctx, started.ID, watchword.CheckRequest{Purpose: "sign_in", To: "ann@example.com", Answer: watchword.Answer{Text: typed}})

	fmt.Println(started.SentTo, result.Claims.Purpose, err)
	signer, _ := receipt.NewSigner(receipt.SignerConfig{Keys: []receipt.Key{signing}})
	token, err := signer.Sign(ctx, *result.Claims) // for other services, which verify it with a receipt.Verifier
	fmt.Println(strings.Count(token, "."), err)

	// Output:
	// a•••@example.com sign_in <nil>
	// 2 <nil>
}

// One verification, several methods: the person chooses how to answer, and there is one receipt. Ann has no authenticator app, so
// that method is not offered.
func Example_verification() {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ring, identity, _ := exampleKeys()
	mail := make(exampleMailbox, 1)
	queue := delivery.NewQueue(1000, nil)
	addresses, _ := delivery.NewAddressPolicy(delivery.Addresses{})
	codes, _ := otp.New(otp.Config{})
	apps, _ := totp.New(totp.Config{Issuer: "Shop"})
	engine, _ := watchword.New(watchword.Config{App: "shop", Issuer: "https://shop.example", Keys: []watchword.Key{ring}, Identity: identity,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Outbox: queue, Strategies: []watchword.Strategy{apps, codes}, Addresses: addresses, Channels: []string{"email", "sms"}})
	worker, _ := delivery.NewWorker(delivery.WorkerConfig{Engine: engine, Outbox: queue, Sender: mail})
	go worker.Run(ctx)

	v, _ := engine.StartVerification(ctx, watchword.VerificationRequest{Purpose: "mfa", Subject: "ann", Methods: []watchword.MethodRequest{
		{Strategy: "totp"},
		{Strategy: "otp", Channel: "sms", To: "+14155550123"},
		{Strategy: "otp", Channel: "email", To: "ann@example.com"},
	}})
	for _, m := range v.Methods {
		fmt.Println(m.ID, m.Strategy, m.SentTo)
	}
	_, _ = engine.OpenMethod(ctx, v.ID, "m3") // the person chooses the mail
	answer := watchword.CheckRequest{Purpose: "mfa", Subject: "ann", Answer: watchword.Answer{Text: mail.read()}}
	result, err := engine.CheckVerification(ctx, v.ID, watchword.VerificationCheck{Method: "m3", CheckRequest: answer})
	fmt.Println(result.Method, result.Claims.Channel, err)

	// Output:
	// m2 otp +1 ••• ••• ••23
	// m3 otp a•••@example.com
	// m3 email <nil>
}

// exampleMailbox is a Sender whose messages stay here; an app has one of delivery/smtp, delivery/twilio or
// delivery/webhook, behind a delivery.Render that puts messages into words.
type exampleMailbox chan watchword.Message

func (m exampleMailbox) Send(_ context.Context, message watchword.Message) (watchword.Sent, error) {
	m <- message
	return watchword.Sent{Provider: "example"}, nil
}

func (m exampleMailbox) read() string { return (<-m).Code.Reveal() }

// exampleKeys returns new keys. An app keeps its keys; `watchword keys new` makes them.
func exampleKeys() (ring, identity watchword.Key, signing receipt.Key) {
	secrets := make([]byte, 64)
	_, _ = rand.Read(secrets)
	ring, _ = watchword.NewKey("2026-11", secrets[:32])
	identity, _ = watchword.NewKey("identity", secrets[32:])
	signing, _ = receipt.GenerateKey("2026-11", receipt.EdDSA)
	return ring, identity, signing
}

// The example of the README and of the page about the library must compile. Package service has it.
func TestDocumentsShowTheExample(t *testing.T) {
	example, err := os.ReadFile("service/readme_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"README.md", "docs/library.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		_, block, found := strings.Cut(string(text), "```go\n")
		block, _, ended := strings.Cut(block, "```")
		if !found || !ended {
			t.Fatalf("%s has no block of Go", page)
		}
		for line := range strings.Lines(block) {
			if !strings.Contains(string(example), strings.TrimSpace(line)) {
				t.Errorf("%s shows a line that no test compiles: %s", page, line)
			}
		}
	}
}
