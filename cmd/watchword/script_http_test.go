package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// httpInScript implements http METHOD URL [BODY]: it sends a request on a connection of its own and prints the reply as one JSON
// document, {"status": 200, "body": ...}. The API key is $KEY, or dev. $PROOF is the receipt that authorizes a change of factors,
// $ORIGIN the origin of the page that sends the request. With !, there must be no reply. It is no program, because with the race
// detector each start of one takes a tenth of a second of a processor, and each end waits for a second.
func httpInScript(ts *testscript.TestScript, neg bool, args []string) {
	reply, err := sendFromScript(ts, args)
	if (err != nil) != neg {
		ts.Fatalf("http: %v", err)
	}
	_, err = fmt.Fprint(ts.Stdout(), reply)
	ts.Check(err)
}

func sendFromScript(ts *testscript.TestScript, args []string) (string, error) {
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(body))
	ts.Check(err)
	req.Close = true
	req.Header.Set("Authorization", "Bearer "+cmp.Or(ts.Getenv("KEY"), devKey))
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if proof := ts.Getenv("PROOF"); proof != "" {
		req.Header.Set("Watchword-Authorization", proof)
	}
	if origin := ts.Getenv("ORIGIN"); origin != "" {
		req.Header.Set("Origin", origin)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return "", err
	}
	if !json.Valid(text) {
		text, err = json.Marshal(string(text))
	}
	return fmt.Sprintf("{\"status\": %d, \"body\": %s}\n", res.StatusCode, bytes.TrimSpace(text)), err
}

// awaitInboxInScript implements awaitinbox NAME N ADDRESS: it waits until the inbox of a development server has N messages to an
// address, and prints them as http does.
func awaitInboxInScript(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	messages := ts.Getenv(args[0]) + "/inbox/messages?to=" + url.QueryEscape(args[2])
	var last string
	for until := time.Now().Add(testTimeout); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		last, err = sendFromScript(ts, []string{http.MethodGet, messages})
		ts.Check(err)
		var reply struct{ Body []json.RawMessage }
		if json.Unmarshal([]byte(last), &reply) == nil && len(reply.Body) == want {
			_, err = fmt.Fprint(ts.Stdout(), last)
			ts.Check(err)
			return
		}
	}
	ts.Fatalf("awaitinbox %s: there are not %s messages to %s: %s", args[0], args[1], args[2], last)
}
