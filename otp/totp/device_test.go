package totp

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"math/big"
	"time"
)

// codeAt returns the code that the device shows at a time (RFC 6238 §4.2).
func (d *device) codeAt(now time.Time) string {
	return d.codeOfCounter(now.Add(d.clockOffset).Unix() / int64(d.period/time.Second))
}

// codeOfCounter implements RFC 4226 §5.3, independently of the package under test.
func (d *device) codeOfCounter(n int64) string {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(d.secret)
	if err != nil {
		panic(err)
	}
	hashes := map[Algorithm]func() hash.Hash{SHA1: sha1.New, SHA256: sha256.New, SHA512: sha512.New}
	mac := hmac.New(hashes[d.algorithm], secret)
	_ = binary.Write(mac, binary.BigEndian, n)
	sum := mac.Sum(nil)
	cut := int(sum[len(sum)-1] % 16)
	number := new(big.Int).SetBytes(sum[cut : cut+4])
	number.SetBit(number, 31, 0)
	number.Mod(number, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(d.digits)), nil))
	return fmt.Sprintf("%0*d", d.digits, number)
}
