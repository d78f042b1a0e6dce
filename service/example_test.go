package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/delivery/inbox"
	"github.com/watchword-auth/watchword/otp"
	"github.com/watchword-auth/watchword/otp/totp"
	"github.com/watchword-auth/watchword/server"
	"github.com/watchword-auth/watchword/service"
	"github.com/watchword-auth/watchword/store/memory"
	"github.com/watchword-auth/watchword/webauthn"
)

// newService starts codes by mail, authenticator apps and passkeys, and adds the hosted pages to the app's mux. A real app gets its keys
// from service.LoadKeys, sends with delivery/smtp and stores factors with store/sql.
func newService(ctx context.Context, url string, mux *http.ServeMux, box *inbox.Inbox) (*service.Service, error) {
	keys, errKeys := service.NewKeys()
	mail, errMail := delivery.Openers{"inbox": box.Open}.Open(ctx, "inbox:", delivery.Environment{Development: true})
	codes, errCodes := otp.New(otp.Config{})
	apps, errApps := totp.New(totp.Config{Issuer: "Example Shop"})
	passkeys, errPasskeys := webauthn.New(webauthn.Config{RPID: "localhost", RPName: "Example Shop", Origins: []string{url}, Secret: keys.PasskeySecret("shop")})
	if err := errors.Join(errKeys, errMail, errCodes, errApps, errPasskeys); err != nil {
		return nil, err
	}
	s, err := service.New(service.Config{
		App: "shop", Name: "Example Shop", URL: url, Keys: keys,
		Store: memory.New(memory.Config{}), Factors: &memory.Factors{}, Strategies: []watchword.Strategy{codes, apps, passkeys},
		Senders: map[string][]delivery.Provider{"email": {{Name: "inbox", Sender: mail}}},
	})
	if err != nil {
		return nil, err
	}
	mux.Handle("GET /webauthn.js", webauthn.Script())
	return s, server.MountPages(mux, server.Config{Apps: []server.App{{Engine: s.Engine, PublicURL: url}}})
}

func Example() {
	ctx, mux, box := context.Background(), http.NewServeMux(), &inbox.Inbox{}
	s, err := newService(ctx, "http://localhost:8080", mux, box)
	if err != nil {
		fmt.Println(err)
		return
	}
	started, err := s.Engine.Start(ctx, watchword.StartRequest{Strategy: "otp", Channel: "email", To: "ada@example.com", Purpose: watchword.PurposeSignIn})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := s.Close(); err != nil { // sends what waits
		fmt.Println(err)
	}
	check := watchword.CheckRequest{To: "ada@example.com", Purpose: watchword.PurposeSignIn, Answer: watchword.AnswerCode(newestCode(box))}
	result, err := s.Engine.Check(ctx, started.ID, check)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.Claims.Audience, result.Claims.Purpose, result.Claims.SentTo)
	// Output: shop sign_in a•••@example.com
}

// newestCode returns the code of the newest message in the inbox.
func newestCode(box *inbox.Inbox) string {
	w := httptest.NewRecorder()
	box.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost/inbox/messages", nil))
	var messages []struct{ Code string }
	if err := json.Unmarshal(w.Body.Bytes(), &messages); err != nil || len(messages) == 0 {
		return ""
	}
	return messages[0].Code
}
