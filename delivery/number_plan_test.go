package delivery

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// A number with its + must give the country, the type of line or the refusal that the library gives. The numbers are examples of the
// metadata for countries and types, and what becomes of them when digits are changed, removed and added, and random ones. Each run takes
// a quarter of the countries, because compiling the patterns of all takes seconds.
func TestNumberPlanAgreesWithLibrary(t *testing.T) {
	t.Parallel()
	tried, planned, accepted := 0, 0, map[string]bool{}
	compare := func(text string) {
		if len(text) < 1+minDigits || len(text) > 1+maxDigits {
			return
		}
		got, gotErr := parseNumber(text, "")
		want, wantErr := parseWithLibrary(text, "")
		tried++
		if plan, _ := findPlan(text[1:]); plan != nil {
			planned++
		}
		if wantErr == nil {
			accepted[want.Country] = true
		} else if gotErr != nil {
			return // what is refused has no address
		}
		if !reflect.DeepEqual(got, want) || (gotErr == nil) != (wantErr == nil) {
			t.Errorf("%s: %+v, %v; the library: %+v, %v", text, got, gotErr, want, wantErr)
		}
	}
	for region := range phonenumbers.GetSupportedRegions() {
		if rand.IntN(4) > 0 {
			continue
		}
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil {
				continue
			}
			text := phonenumbers.Format(example, phonenumbers.E164)
			compare(text)
			compare(text[:len(text)-1])
			compare(text + "0")
			for range numberVariants {
				changed := []byte(text)
				changed[1+rand.IntN(len(text)-1)] = byte('0' + rand.IntN(10))
				changed[1+rand.IntN(len(text)-1)] = byte('0' + rand.IntN(10))
				compare(string(changed))
			}
		}
	}
	for code := range phonenumbers.GetSupportedCallingCodes() {
		if rand.IntN(4) > 0 {
			continue
		}
		for range numberVariants {
			compare("+" + strconv.Itoa(code) + strconv.FormatUint(rand.Uint64(), 10)[:2+rand.IntN(11)])
			compare("+" + strconv.Itoa(code) + "0" + strconv.FormatUint(rand.Uint64(), 10)[:2+rand.IntN(10)])
		}
	}
	if tried < 500 || planned < tried/2 || len(accepted) < 20 {
		t.Errorf("%d numbers tried, %d of them by a plan, %d countries", tried, planned, len(accepted))
	}
}

// numberVariants is how many random numbers are made of each example.
const numberVariants = 4
