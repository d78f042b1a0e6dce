package server_test

import (
	"net/http"
	"testing"
)

func TestSmoke(t *testing.T) {
	b := newBench(t, options{})
	id := b.start()
	b.check(id, wrong(b.code("shop", id))).want(t, http.StatusUnprocessableEntity, "incorrect_answer")
	b.check(id, b.code("shop", id)).want(t, http.StatusOK, "")
	b.get("/openapi.json")
}
