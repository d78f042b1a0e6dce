package delivery

import (
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/watchword-auth/watchword"
)

// A transactionRow is one name and value of a transaction, as messages show them.
type transactionRow struct {
	Name  string // the app's name of the row, as people read it
	Value string

	key string // the name as the app spells it
}

// A transaction is what the person approves: amount, currency and payee first, then the app's other rows, sorted by name.
type transaction []transactionRow

// leadingKeys are the keys of the rows that come before the others.
var leadingKeys = []string{"amount", "currency", "payee"}

const rowNotShowable = "cannot be shown in a message as it is: use letters, digits, spaces, currency signs and ' \" - & , . ( ) + % ! ? ; " +
	"and inside of words : / @, without links"

// newTransaction returns the rows of a transaction. The error is an ErrInvalidRequest that names the rows that cannot be
// shown without changing them.
func newTransaction(rows map[string]string) (transaction, error) {
	var t transaction
	var problems []watchword.FieldError
	for _, key := range slices.SortedFunc(maps.Keys(rows), compareKeys) {
		name, nameOK := sanitizeLossless(rowName(key))
		value, valueOK := sanitizeLossless(rows[key])
		if !nameOK || !valueOK {
			problems = append(problems, watchword.FieldError{Field: transactionField + "." + key, Reason: rowNotShowable})
			continue
		}
		t = append(t, transactionRow{Name: name, Value: value, key: key})
	}
	if len(problems) > 0 {
		return nil, &watchword.Error{Code: watchword.ErrInvalidRequest.Code, Fields: problems}
	}
	return t, nil
}

// rowName returns the name of a row with a capital, and with spaces for underscores.
func rowName(key string) string {
	if key == "iban" {
		return "IBAN"
	}
	first, size := utf8.DecodeRuneInString(key)
	return string(unicode.ToUpper(first)) + strings.ReplaceAll(key[size:], "_", " ")
}

const transactionField = "transaction"

// RefuseTransaction returns an ErrInvalidRequest about the transaction as a whole. A MessageChecker returns it for messages
// that cannot show the transaction.
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

// Amount returns the value of the row "amount", or "" if there is none.
func (t transaction) Amount() string { return t.value("amount") }

// Currency returns the value of the row "currency", or "" if there is none.
func (t transaction) Currency() string { return t.value("currency") }

// Payee returns the value of the row "payee", or "" if there is none.
func (t transaction) Payee() string { return t.value("payee") }

// Others returns the rows other than amount, currency and payee. If there is neither an amount nor a payee, templates write
// no sentence about a payment, so Others returns all rows.
func (t transaction) Others() []transactionRow {
	if t.Amount() == "" && t.Payee() == "" {
		return t
	}
	return slices.DeleteFunc(slices.Clone(t), func(r transactionRow) bool { return slices.Contains(leadingKeys, r.key) })
}

// DescribeTransaction returns all rows of a transaction in one line: "Amount: 40.00, Currency: EUR". The error is an
// ErrInvalidRequest that names the rows that no message can show without changing them.
func DescribeTransaction(rows map[string]string) (string, error) {
	t, err := newTransaction(rows)
	texts := make([]string, len(t))
	for i, r := range t {
		texts[i] = r.Name + ": " + r.Value
	}
	return strings.Join(texts, ", "), err
}

// sanitizeLossless is sanitizeText for texts of which nothing may be lost: ok is false where sanitizeText would remove a
// character or replace it by a space. It also keeps " ? and ;, keeps / and @ between letters or digits, and keeps : between
// digits. None of these can form a link, an "@host #code" line or a line end.
func sanitizeLossless(text string) (sanitized string, ok bool) {
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
	sanitized = strings.TrimRight(separateDots(string(out)), " .")
	return sanitized, sanitized != ""
}

// isInsideWord reports whether the sign at i is part of a word: A/S, c/o, ann@home, 12:30.
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

// dropJoiner removes characters that only change how their neighbours are drawn. It is for strings.Map.
func dropJoiner(r rune) rune {
	if unicode.In(r, unicode.Join_Control, unicode.Variation_Selector) {
		return -1
	}
	return r
}
