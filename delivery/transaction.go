package delivery

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchword-auth/watchword"
)

// A transactionRow is one line of what is approved, as messages show it.
type transactionRow struct {
	Name  string // the app's own, with spaces for underscores
	Value string

	key string // the name as the app spells it
}

// A transaction is what is approved: amount, currency and payee first, then whatever else the app names, by name.
type transaction []transactionRow

// leadingKeys are the rows that stand before the others.
var leadingKeys = []string{"amount", "currency", "payee"}

const rowNotShowable = "cannot be shown in a message as it is: use letters, digits, spaces, currency signs and ' \" - & , . ( ) + % ! ? ; " +
	"and inside of words : / @, without links"

// newTransaction makes the rows of a transaction, or an invalid_request that names those that cannot be shown as they are.
func newTransaction(rows map[string]string) (transaction, error) {
	var t transaction
	var wrong []watchword.FieldError
	for _, key := range slices.SortedFunc(maps.Keys(rows), compareKeys) {
		name, nameShown := sanitizeLossless(strings.ReplaceAll(key, "_", " "))
		value, valueShown := sanitizeLossless(rows[key])
		if !nameShown || !valueShown {
			wrong = append(wrong, watchword.FieldError{Field: transactionField + "." + key, Reason: rowNotShowable})
			continue
		}
		t = append(t, transactionRow{Name: name, Value: value, key: key})
	}
	if len(wrong) > 0 {
		return nil, &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: wrong}
	}
	return t, nil
}

const transactionField = "transaction"

// RefuseTransaction is an invalid_request about the transaction as a whole, a Checker's answer where it cannot be shown.
func RefuseTransaction(reason string) error {
	return &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: []watchword.FieldError{{Field: transactionField, Reason: reason}}}
}

func compareKeys(a, b string) int {
	rank := func(key string) int {
		if at := slices.Index(leadingKeys, key); at >= 0 {
			return at
		}
		return len(leadingKeys)
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}

func (t transaction) value(key string) string {
	for _, r := range t {
		if r.key == key {
			return r.Value
		}
	}
	return ""
}

// Amount is the value of the row of that name; empty if there is none.
func (t transaction) Amount() string { return t.value("amount") }

// Currency is the value of the row of that name; empty if there is none.
func (t transaction) Currency() string { return t.value("currency") }

// Payee is the value of the row of that name; empty if there is none.
func (t transaction) Payee() string { return t.value("payee") }

// Others are the rows that a sentence about amount, currency and payee leaves out. Without amount and payee there is no
// such sentence, and they are all.
func (t transaction) Others() []transactionRow {
	if t.Amount() == "" && t.Payee() == "" {
		return t
	}
	return slices.DeleteFunc(slices.Clone(t), func(r transactionRow) bool { return slices.Contains(leadingKeys, r.key) })
}

// DescribeTransaction says a transaction in one line: "amount: 40.00, currency: EUR", every row of it. The error is an
// invalid_request that names the rows that no message shows as they are.
func DescribeTransaction(rows map[string]string) (string, error) {
	t, err := newTransaction(rows)
	texts := make([]string, len(t))
	for i, r := range t {
		texts[i] = r.Name + ": " + r.Value
	}
	return strings.Join(texts, ", "), err
}

// sanitizeLossless is plain for a text that must not lose anything: where plain would leave something out or make it a space,
// the text is not ok. Beyond plain's characters it has " ? ; and, between letters and digits, / and @, between digits the
// colon: of these nothing makes a link, an "@host #code" or a line.
func sanitizeLossless(text string) (shown string, ok bool) {
	if !utf8.ValidString(text) {
		return "", false
	}
	runes := []rune(strings.Map(dropJoiner, text))
	out := make([]rune, len(runes))
	for i, r := range runes {
		switch {
		case unicode.Is(unicode.Zs, r):
			out[i] = ' '
		case sanitizeRune(r) != ' ':
			out[i] = sanitizeRune(r)
		case strings.ContainsRune(`"?;`, r) || isInsideWord(runes, i):
			out[i] = r
		default:
			return "", false
		}
	}
	shown = strings.TrimRight(separateDots(string(out)), " .")
	return shown, shown != ""
}

// isInsideWord reports whether the character stands where it is no more than a sign inside a word: A/S, c/o, ann@home, 12:30.
func isInsideWord(runes []rune, i int) bool {
	if i == 0 || i == len(runes)-1 {
		return false
	}
	before, after := runes[i-1], runes[i+1]
	switch runes[i] {
	case '/', '@':
		return isWordRune(before) && isWordRune(after)
	case ':':
		return unicode.IsDigit(before) && unicode.IsDigit(after)
	}
	return false
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

// dropJoiner leaves out what only changes how its neighbours are drawn.
func dropJoiner(r rune) rune {
	if unicode.In(r, unicode.Join_Control, unicode.Variation_Selector) {
		return -1
	}
	return r
}
