package colors

import (
	"errors"
	"fmt"
)

// The backgrounds of the pages and mails of all apps, and the edge of buttons that are too close to Card.
const (
	Card     = "#ffffff"
	CardDark = "#191c22" // in dark mode
	edge     = "#767b85"
)

// MinContrast is the least contrast of a button to its background (WCAG 2.2, 1.4.11).
const MinContrast = 3

// A Button has the colors of buttons, each of the form #rrggbb.
type Button struct {
	Color     string
	Ink       string // of its text
	Edge      string // of its border, with MinContrast to Card at least
	ColorDark string // the same in dark mode, with MinContrast to CardDark at least
	InkDark   string
}

// NewButton returns the colors for an app's color, in lower case as both colors must be. Without a color for dark mode, the app's
// color is lightened as far as dark mode needs.
func NewButton(color, dark string) Button {
	if dark == "" {
		dark = Lighten(color, CardDark, MinContrast)
	}
	b := Button{Color: color, Ink: Ink(color), Edge: color, ColorDark: dark, InkDark: Ink(dark)}
	if Contrast(color, Card) < MinContrast {
		b.Edge = edge
	}
	return b
}

// Check returns an error if a color is not of the form #rrggbb. An empty text is no color and no error.
func Check(color string) error {
	if color != "" && !Valid(color) {
		return errors.New("is not of the form #rrggbb")
	}
	return nil
}

// CheckDark returns an error if a color for dark mode is not of the form #rrggbb, or if its contrast to CardDark is below
// MinContrast. An empty text is no color and no error.
func CheckDark(color string) error {
	if err := Check(color); err != nil || color == "" {
		return err
	}
	if contrast := Contrast(color, CardDark); contrast < MinContrast {
		return fmt.Errorf("has a contrast of %.1f to the dark background %s; the minimum is %d: choose a lighter color", contrast, CardDark, MinContrast)
	}
	return nil
}
