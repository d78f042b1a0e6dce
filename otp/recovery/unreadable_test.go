package recovery

import (
	"testing"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/store/memory"
)

// A set that cannot be decrypted cannot be used, and the error says so. A new set replaces it.
func TestEnrolReplacesUnreadableSet(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(k *kit, row watchword.SealedFactor)
		refusal error
	}{
		"damaged": {func(k *kit, row watchword.SealedFactor) {
			row.Data = []byte("damaged")
			if err := k.config.Factors.Update(k.t.Context(), row); err != nil {
				k.t.Fatal(err)
			}
		}, watchword.ErrFactorDisabled},
		"key is missing": {func(k *kit, _ watchword.SealedFactor) {
			k.config.Keys = []watchword.Key{testKey(k.t, "k2")}
			k.Engine = k.newNode()
		}, watchword.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKit(t, "shop", &memory.Factors{})
			old := k.enrol("user_42")
			row, err := k.config.Factors.Get(t.Context(), "shop", k.onlyFactor("user_42").ID)
			if err != nil {
				t.Fatal(err)
			}
			c.spoil(k, row)
			_, err = k.Start(t.Context(), watchword.StartRequest{Strategy: "recovery", Purpose: "password_reset", Subject: "user_42"})
			wantError(t, "a code of the set", err, c.refusal)
			codes := k.enrol("user_42")
			if err := k.checkCode("user_42", codes[0]); err != nil {
				t.Errorf("the new set: %v", err)
			}
			wantError(t, "the old set", k.checkCode("user_42", old[0]), watchword.ErrIncorrectAnswer)
		})
	}
}
