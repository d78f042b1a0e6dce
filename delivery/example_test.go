package delivery_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
)

// The policy returns the canonical and the masked form of an address, and an error if nothing may be sent to it.
func ExampleNewAddressPolicy() {
	policy, err := delivery.NewAddressPolicy(delivery.Addresses{Countries: []string{"US", "DE"}})
	if err != nil {
		panic(err)
	}
	for _, to := range []string{"+14155550123", "+442079460000", "+19005551234", "+1 (415) 555-0123"} {
		a, err := policy("sms", to)
		fmt.Println(a.Masked, a.Country, err)
	}
	a, _ := policy("email", "Anna@Bücher.example")
	fmt.Println(a.Value, a.Masked)
	// Output:
	// +1 ••• ••• ••23 US <nil>
	// +44 ••• ••• ••00 GB watchword: destination refused: country
	// +1 ••• ••• ••34 US watchword: destination refused: line_type
	//   watchword: invalid request; to: is not a plain phone number: + and digits only
	// Anna@xn--bcher-kva.example A•••@xn--bcher-kva.example
}

// A message is rendered in the reader's language and sent through the first provider that accepts it.
func ExampleRouter() {
	down := senderFunc(func(context.Context, watchword.Message) (watchword.Sent, error) {
		return watchword.Sent{}, &watchword.SendError{Provider: "down", Permanent: true, Cause: errors.New("account closed")}
	})
	prints := senderFunc(func(_ context.Context, m watchword.Message) (watchword.Sent, error) {
		fmt.Println(m.Text)
		return watchword.Sent{}, nil
	})
	router, err := delivery.NewRouter(delivery.RouterConfig{Routes: map[string][]delivery.Provider{
		"sms": {{Name: "down", Sender: down}, {Name: "prints", Sender: prints}},
	}})
	if err != nil {
		panic(err)
	}
	templates, err := delivery.LoadTemplates(nil) // or os.DirFS of a folder with your own templates
	if err != nil {
		panic(err)
	}
	renderer, err := delivery.NewRenderer(delivery.RendererConfig{Next: router, Templates: templates})
	if err != nil {
		panic(err)
	}
	sent, err := renderer.Send(context.Background(), watchword.Message{
		ID: "msg_1", App: "ACME", Channel: "sms", To: "+491512345678", Locale: "de-AT", Purpose: "sign_in",
		Code: watchword.NewCode("492039"), Origin: "acme.example", ExpiresAt: time.Now().Add(10 * time.Minute),
	})
	fmt.Println(sent.Provider, err)
	// Output:
	// ACME: 492039 ist Ihr Anmeldecode. Nicht weitergeben.
	// @acme.example #492039
	// prints <nil>
}

// A program lists its Openers and opens the senders that its configuration names.
func ExampleOpeners() {
	openers := delivery.Openers{
		"silent": func(_ context.Context, u *url.URL, env delivery.Environment) (watchword.Sender, error) {
			if !env.Development {
				return nil, errors.New("is for development only")
			}
			return senderFunc(func(context.Context, watchword.Message) (watchword.Sent, error) { return watchword.Sent{}, nil }), nil
		},
	}
	_, err := openers.Open(context.Background(), "silent:", delivery.Environment{})
	fmt.Println(err)
	_, err = openers.Open(context.Background(), "pigeon://user:secret@loft/", delivery.Environment{})
	fmt.Println(err)
	// Output:
	// delivery: silent: is for development only
	// delivery: no sender has the scheme "pigeon"; there are silent
}
