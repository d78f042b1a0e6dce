package twilio

import (
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// A contentTemplate is a message template stored at Twilio and approved by WhatsApp, with the values of its variables.
type contentTemplate struct {
	sid       string // HX...; empty: no template
	variables []variable
}

// A variable is a variable of the template, and the kind of its value.
type variable struct{ name, value string }

// Kinds of values. The text is the whole message of other channels, in one line.
const (
	valueApp         = "app"
	valueCode        = "code"
	valueLink        = "link"
	valueMinutes     = "minutes"
	valueText        = "text"
	valueTransaction = "transaction"
)

var variableValues = []string{valueApp, valueCode, valueLink, valueMinutes, valueText, valueTransaction}

// defaultVariables fit WhatsApp's own authentication templates.
const defaultVariables = "1:" + valueCode

var variablePattern = regexp.MustCompile(`^([A-Za-z0-9_]{1,32}):([a-z]+)$`)

// parse parses the parameter content_variables, such as 1:code,2:minutes.
func (c *contentTemplate) parse(text string) (problems []error) {
	if c.sid != "" && !contentPattern.MatchString(c.sid) {
		problems = append(problems, errors.New("the parameter content_sid is not the sid of a content template (HX...)"))
	}
	if text != "" && c.sid == "" {
		return append(problems, errors.New("the parameter content_variables needs content_sid"))
	}
	if text == "" {
		text = defaultVariables
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(text, ",") {
		v := variablePattern.FindStringSubmatch(part)
		if v == nil || !slices.Contains(variableValues, v[2]) || seen[v[1]] {
			return append(problems, errors.New("the parameter content_variables is not like 1:code,2:minutes; a variable is one of "+strings.Join(variableValues, ", ")))
		}
		seen[v[1]] = true
		c.variables = append(c.variables, variable{v[1], v[2]})
	}
	if !c.hasVariable(valueCode) && !c.hasVariable(valueLink) && !c.hasVariable(valueText) {
		problems = append(problems, errors.New("the parameter content_variables has neither code nor link nor text"))
	}
	return problems
}

func (c *contentTemplate) hasVariable(value string) bool {
	return slices.ContainsFunc(c.variables, func(v variable) bool { return v.value == value })
}

// errHidesTransaction means that the person would approve a transaction without seeing it.
const errHidesTransaction outbound.Failure = "content_variables has neither transaction nor text"

// hidesTransaction reports whether a message has a transaction that the template does not show.
func (c *contentTemplate) hidesTransaction(m watchword.Message) bool {
	return len(m.Transaction) > 0 && !c.hasVariable(valueTransaction) && !c.hasVariable(valueText)
}

// encodeVariables returns the variables as JSON.
func (c *contentTemplate) encodeVariables(m watchword.Message, lifetime time.Duration) (string, error) {
	if c.hidesTransaction(m) {
		return "", permanentError(watchword.FaultMessage, errHidesTransaction)
	}
	transaction, err := delivery.DescribeTransaction(m.Transaction)
	if err != nil {
		return "", permanentError(watchword.FaultMessage, "the transaction cannot be shown as it is")
	}
	texts := map[string]string{
		valueApp: m.App, valueCode: m.Code.Reveal(), valueLink: m.Link.Reveal(), valueMinutes: strconv.Itoa(roundToMinutes(lifetime)),
		valueText: strings.Join(strings.Fields(m.Text), " "), // variables must not contain line ends
	}
	if transaction == "" {
		transaction = "-" // variables must not be empty
	}
	texts[valueTransaction] = transaction
	out := map[string]string{}
	for _, v := range c.variables {
		if out[v.name] = texts[v.value]; out[v.name] == "" {
			return "", permanentError(watchword.FaultMessage, "the template has a variable without a value in this message, such as a code or a link")
		}
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// roundToMinutes rounds to whole minutes, at least one.
func roundToMinutes(d time.Duration) int { return max(1, int((d+time.Minute/2)/time.Minute)) }
