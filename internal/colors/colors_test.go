package colors_test

import (
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/watchword-auth/watchword/internal/colors"
)

func TestContrastIsThatOfWCAG(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want float64
	}{{"#000000", "#ffffff", 21}, {"#ffffff", "#FFFFFF", 1}, {"#777777", "#ffffff", 4.48}, {"#0000ff", "#ffffff", 8.59}} {
		if got := colors.Contrast(c.a, c.b); math.Abs(got-c.want) > 0.01 || got != colors.Contrast(c.b, c.a) {
			t.Errorf("%s on %s: %.3f, want %.2f", c.a, c.b, got, c.want)
		}
	}
}

func TestInkAndLightenReachTheirContrast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		color := fmt.Sprintf("#%06x", rapid.IntRange(0, 0xffffff).Draw(t, "color"))
		if c := colors.Contrast(color, colors.Ink(color)); c < 4.5 {
			t.Errorf("ink on %s has a contrast of %.2f", color, c)
		}
		const dark = "#191c22"
		lightened := colors.Lighten(color, dark, 3)
		if c := colors.Contrast(lightened, dark); c < 3 || !colors.Valid(lightened) {
			t.Errorf("%s became %s with a contrast of %.2f", color, lightened, c)
		}
		if colors.Contrast(color, dark) >= 3 && lightened != color {
			t.Errorf("%s is light enough and became %s", color, lightened)
		}
	})
}

func TestValidAcceptsSixHexadecimalDigits(t *testing.T) {
	for color, want := range map[string]bool{"#6d28d9": true, "#ABCDEF": true, "6d28d9": false, "#fff": false, "red": false, "#6d28d9;": false, "": false} {
		if colors.Valid(color) != want {
			t.Errorf("%q: valid is %t", color, !want)
		}
	}
}
