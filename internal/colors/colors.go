// Package colors computes contrasts of colors for people who read, by the formulas of WCAG 2 (relative luminance, contrast ratio).
package colors

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Black and White are the inks between which Ink decides.
const (
	Black = "#000000"
	White = "#ffffff"
)

var pattern = regexp.MustCompile(`^#[0-9A-Fa-f]{6}$`)

// Valid reports whether a color is of the form #rrggbb. The other functions expect valid colors.
func Valid(color string) bool { return pattern.MatchString(color) }

// Luminance returns the relative luminance, from 0 (black) to 1 (white).
func Luminance(color string) float64 {
	sum := 0.0
	for n, weight := range []float64{0.2126, 0.7152, 0.0722} {
		c := float64(channel(color, n)) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}

func channel(color string, n int) uint64 {
	value, _ := strconv.ParseUint(color[1+2*n:3+2*n], 16, 8)
	return value
}

// Contrast returns the contrast ratio of two colors, from 1 to 21.
func Contrast(a, b string) float64 {
	x, y := Luminance(a)+0.05, Luminance(b)+0.05
	return max(x, y) / min(x, y)
}

// Ink returns the color of text on a background: black or white, whichever has the higher contrast. It is 4.5 at least.
func Ink(background string) string {
	if Contrast(background, Black) > Contrast(background, White) {
		return Black
	}
	return White
}

// Lighten mixes a color with white until its contrast to a dark background is the ratio at least, in steps of a twentieth. White
// is the last step.
func Lighten(color, background string, ratio float64) string {
	for step := range uint64(20) {
		mixed := "#"
		for n := range 3 {
			mixed += fmt.Sprintf("%02x", channel(color, n)+(255-channel(color, n))*step/20)
		}
		if Contrast(mixed, background) >= ratio {
			return mixed
		}
	}
	return White
}
