package watchword

import (
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword/internal/codec"
)

// fill draws a value for every field that can be set, so that a field which fields() omits is not decoded.
func fill(t *rapid.T, v reflect.Value, name string) {
	switch v.Interface().(type) {
	case time.Time:
		ms := rapid.Int64Range(1, 4e12).Draw(t, name)
		v.Set(reflect.ValueOf(time.UnixMilli(ms).UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(t, v.Elem(), name)
	case reflect.String:
		v.SetString(rapid.StringN(1, 40, -1).Draw(t, name))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.Int64Range(1, 1e12).Draw(t, name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 100).Draw(t, name))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(t, v.Index(0), name)
		fill(t, v.Index(1), name)
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, name)))
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String {
			v.Set(reflect.ValueOf(rapid.MapOfN(rapid.String(), rapid.String(), 1, 5).Draw(t, name)))
			return
		}
		v.Set(reflect.ValueOf(map[string]any{"a": "b"}))
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() {
				fill(t, v.Field(i), f.Name)
			}
		}
	default:
		t.Fatalf("%s: unsupported kind of field", name)
	}
}

func TestEncodedContentAndFactorsDecodeUnchanged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var in, out entryContent
		fill(t, reflect.ValueOf(&in).Elem(), "content")
		in.ID = "" // the associated data of the encryption
		data, err := codec.Encode(in.fields)
		if err != nil {
			t.Fatal(err)
		}
		if err := codec.Decode(data, out.fields); err != nil || !reflect.DeepEqual(in, out) {
			t.Fatalf("%v\n in %+v\nout %+v", err, in, out)
		}
		var f, g Factor
		fill(t, reflect.ValueOf(&f).Elem(), "factor")
		version, got := int64(7), int64(0)
		if data, err = codec.Encode(f.fields(&version)); err != nil {
			t.Fatal(err)
		}
		if err := codec.Decode(data, g.fields(&got)); err != nil || got != version {
			t.Fatal(err, got)
		}
		g.ID, g.Subject, g.Strategy, g.CreatedAt, g.Version, g.Public = f.ID, f.Subject, f.Strategy, f.CreatedAt, f.Version, f.Public // not encrypted
		if !reflect.DeepEqual(f, g) {
			t.Fatalf("\n in %+v\nout %+v", f, g)
		}
	})
}

func FuzzSealedData(f *testing.F) {
	in := entryContent{Challenge: Challenge{Strategy: "otp", Transaction: map[string]string{"a": "b"}}, Digests: [][]byte{{1}}, Claims: &Claims{}}
	data, err := codec.Encode(in.fields)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		var out entryContent
		_ = codec.Decode(data, out.fields) // an attacker cannot encrypt such data, but it must not panic
	})
}

// A factor keeps the sealer that opened it. With another subject it needs another sealer.
func TestFactorWithNewSubjectIsEncryptedForIt(t *testing.T) {
	secret := make([]byte, minKeyBytes)
	key, err := NewKey("k", secret)
	if err != nil {
		t.Fatal(err)
	}
	derived, err := key.derive("shop")
	if err != nil {
		t.Fatal(err)
	}
	fs := &factorStore{app: "shop", keyring: keyring{derived}}
	reopened := func(f Factor) Factor {
		t.Helper()
		s, err := fs.seal(f, f.Version)
		if err != nil {
			t.Fatal(err)
		}
		if f, err = fs.unseal(s); err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := reopened(Factor{ID: "fa_1", Subject: "user_42", Strategy: "totp", Version: 1, Data: []byte("secret")})
	f.Subject = "user_43"
	if f = reopened(f); string(f.Data) != "secret" {
		t.Errorf("%+v", f)
	}
}
