package main

import (
	"errors"
	"net/http"
)

var (
	errOtherQuestion = errors.New("the browser comes back from a question that this session did not start")
	errNotVerified   = errors.New("the person did not answer")
)

// returnCodeOf returns the return code with which a browser comes back from a hosted page. What the session asked, and the handle that
// collects the receipt, are in the session and are never looked up by the id in the query: otherwise an attacker could have another
// person's browser come back with the attacker's own finished verification, and the person would be signed in as the attacker. The
// parameter is "verification" or "challenge".
//
// The URL holds the code, so it is not passed on as the referrer, and the handlers collect the receipt before they answer.
func returnCodeOf(w http.ResponseWriter, r *http.Request, s session, parameter string) (string, error) {
	w.Header().Set("Referrer-Policy", "no-referrer")
	query := r.URL.Query()
	switch {
	case s.asked == "" || query.Get(parameter) != s.asked:
		return "", errOtherQuestion
	case query.Has("error"): // canceled, locked or expired
		return "", errNotVerified
	}
	return query.Get("return_code"), nil
}
