// Generators starts and checks a challenge with each client that is generated from the OpenAPI document. Its arguments are
// the server's URL and an API key. For each challenge it prints the id and reads the code that was sent.
package main

import (
	"bufio"
	"context"
	"fmt"
	"log"
	"net/http"
	"os"

	"example.com/generators/api"
	"example.com/generators/openapi"
)

const address = "+14155550123"

func main() {
	url, key := os.Args[1], os.Args[2]
	codes := bufio.NewScanner(os.Stdin)
	code := func(id string) string {
		fmt.Println(id)
		codes.Scan()
		return codes.Text()
	}
	if err := checkWithOapiCodegen(url, key, code); err != nil {
		log.Fatal("oapi-codegen: ", err)
	}
	if err := checkWithOgen(url, key, code); err != nil {
		log.Fatal("ogen: ", err)
	}
	if err := verifyWithOgen(url, key, code); err != nil {
		log.Fatal("ogen: ", err)
	}
}

func checkWithOapiCodegen(url, key string, code func(id string) string) error {
	ctx := context.Background()
	authorize := openapi.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+key)
		return nil
	})
	client, err := openapi.NewClientWithResponses(url, authorize)
	if err != nil {
		return err
	}
	channel, to := "sms", address
	started, err := client.StartChallengeWithResponse(ctx, nil, openapi.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: &channel, To: &to})
	if err != nil {
		return err
	}
	if started.JSON201 == nil {
		return fmt.Errorf("started: %s", started.Body)
	}
	challenge, err := started.JSON201.AsStartedCode()
	if err != nil || challenge.Status != "pending" || challenge.Public.Codes != nil {
		return fmt.Errorf("started: %s, %w", started.Body, err)
	}
	id := challenge.Id
	right := code(id)
	for _, answer := range []string{wrongCode(right), right} {
		check := openapi.CheckRequest{Purpose: "sign_in", To: &to}
		if err := check.Answer.FromCheckRequestAnswer0(answer); err != nil {
			return err
		}
		checked, err := client.CheckChallengeWithResponse(ctx, id, nil, check)
		if err != nil {
			return err
		}
		refused := checked.ApplicationproblemJSON422
		if answer == right && (checked.JSON200 == nil || checked.JSON200.Claims.Jti != id) || answer != right && (refused == nil || refused.Code != "incorrect_answer") {
			return fmt.Errorf("checked: %s", checked.Body)
		}
	}
	return nil
}

// wrongCode returns another code than the given one.
func wrongCode(code string) string {
	if code[0] == '9' {
		return "0" + code[1:]
	}
	return "9" + code[1:]
}

// bearer is the API key of the app.
type bearer string

// Key returns the API key for every operation.
func (b bearer) Key(context.Context, api.OperationName) (api.Key, error) {
	return api.Key{Token: string(b)}, nil
}

func checkWithOgen(url, key string, code func(id string) string) error {
	ctx := context.Background()
	client, err := api.NewClient(url, bearer(key))
	if err != nil {
		return err
	}
	to := api.NewOptString(address)
	got, err := client.StartChallenge(ctx, &api.StartRequest{Strategy: "otp", Purpose: "sign_in", Channel: api.NewOptString("sms"), To: to}, api.StartChallengeParams{})
	if err != nil {
		return err
	}
	union, ok := got.(*api.Started)
	if !ok {
		return fmt.Errorf("started: %+v", got)
	}
	started, ok := union.GetStartedCode()
	if !ok || started.Status != api.StartedCodeStatusPending || started.Public.Codes != nil {
		return fmt.Errorf("started: %+v", got)
	}
	right := code(started.ID)
	credential := &api.CheckRequest{Purpose: "sign_in", To: to, Answer: api.NewCredentialCheckRequestAnswer(api.Credential{"id": []byte(`"AAAA"`)})}
	refusal, err := client.CheckChallenge(ctx, credential, api.CheckChallengeParams{ID: started.ID})
	if bad, ok := refusal.(*api.CheckChallengeBadRequest); err != nil || !ok || bad.Code != "invalid_request" || bad.Errors[0].Field != "answer" {
		return fmt.Errorf("a credential where a code is asked: %+v, %w", refusal, err)
	}
	for _, answer := range []string{wrongCode(right), right} {
		check := &api.CheckRequest{Purpose: "sign_in", To: to, Answer: api.NewStringCheckRequestAnswer(answer)}
		got, err := client.CheckChallenge(ctx, check, api.CheckChallengeParams{ID: started.ID})
		if err != nil {
			return err
		}
		approved, isApproved := got.(*api.Approved)
		refused, isRefused := got.(*api.CheckChallengeUnprocessableEntity)
		if answer == right && (!isApproved || approved.Claims.Jti != started.ID) || answer != right && (!isRefused || refused.Code != "incorrect_answer") {
			return fmt.Errorf("checked: %+v", got)
		}
	}
	return nil
}

// verifyWithOgen answers a verification by the second of its methods.
func verifyWithOgen(url, key string, code func(id string) string) error {
	ctx := context.Background()
	client, err := api.NewClient(url, bearer(key))
	if err != nil {
		return err
	}
	method := func(channel string) api.MethodRequest {
		return api.MethodRequest{Strategy: "otp", Channel: api.NewOptString(channel), To: api.NewOptString(address)}
	}
	got, err := client.StartVerification(ctx, &api.VerificationRequest{Purpose: "sign_in", Methods: []api.MethodRequest{method("sms"), method("voice")}}, api.StartVerificationParams{})
	if err != nil {
		return err
	}
	union, ok := got.(*api.StartedVerification)
	if !ok {
		return fmt.Errorf("started: %+v", got)
	}
	started, ok := union.GetPendingVerification()
	if !ok || len(started.Methods) != 2 || started.Challenge.Set {
		return fmt.Errorf("started: %+v", got)
	}
	second := started.Methods[1].ID
	opening, err := client.OpenMethod(ctx, &api.OpenRequest{Method: second}, api.OpenMethodParams{ID: started.ID})
	if err != nil {
		return err
	}
	opened, ok := opening.(*api.Opened)
	if !ok {
		return fmt.Errorf("opened: %+v", opening)
	}
	challenge, ok := opened.Challenge.Value.GetOpenCode()
	if !ok {
		return fmt.Errorf("opened: %+v", opened)
	}
	check := &api.VerificationCheckRequest{Purpose: "sign_in", To: api.NewOptString(address), Answer: api.NewStringVerificationCheckRequestAnswer(code(challenge.ID))}
	checked, err := client.CheckVerification(ctx, check, api.CheckVerificationParams{ID: started.ID})
	if verified, ok := checked.(*api.Verified); err != nil || !ok || verified.Method.Value != second {
		return fmt.Errorf("checked: %+v, %w", checked, err)
	}
	return nil
}
