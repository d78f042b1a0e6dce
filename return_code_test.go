package watchword

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// A return code is that of one browser and one challenge, also where both have the same key.
func TestReturnCodeIsBoundToCookieAndID(t *testing.T) {
	k, err := NewKey("k", bytes.Repeat([]byte{1}, minKeyBytes))
	if err != nil {
		t.Fatal(err)
	}
	key, err := k.derive("shop")
	if err != nil {
		t.Fatal(err)
	}
	now := time.UnixMilli(1_700_000_000_000)
	var first, second pageBinding
	for page, cookie := range map[*pageBinding]string{&first: "ck_1", &second: "ck_2"} {
		if err := page.bind(key, "ch_1", NewCode(cookie)); err != nil {
			t.Fatal(err)
		}
	}
	code := first.returnCode(key, "ch_1", now).Reveal()
	if err := first.checkReturnCode(key, "ch_1", code, now, false); err != nil {
		t.Errorf("its own code: %v", err)
	}
	if err := second.checkReturnCode(key, "ch_1", code, now, false); !errors.Is(err, ErrReturnCodeInvalid) {
		t.Errorf("the code of another cookie: %v", err)
	}
	if err := first.checkReturnCode(key, "ch_2", code, now, false); !errors.Is(err, ErrReturnCodeInvalid) {
		t.Errorf("the code of another id: %v", err)
	}
}
