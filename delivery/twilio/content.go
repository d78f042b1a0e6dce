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

// A contentTemplate is a template that Twilio keeps, approved by WhatsApp, and what stands for its variables.
type contentTemplate struct {
	sid       string // HX...; empty: none
	variables []variable
}

// A variable is one of the template's, and the name of what stands for it.
type variable struct{ name, value string }

// What a variable can be. The text is the whole message as other channels have it, in one line.
const (
	valueApp         = "app"
	valueCode        = "code"
	valueLink        = "link"
	valueMinutes     = "minutes"
	valueText        = "text"
	valueTransaction = "transaction"
)

var variableValues = []string{valueApp, valueCode, valueLink, valueMinutes, valueText, valueTransaction}

// defaultVariables are those of WhatsApp's own templates for authentication.
const defaultVariables = "1:" + valueCode

var variablePattern = regexp.MustCompile(`^([A-Za-z0-9_]{1,32}):([a-z]+)$`)

// parse reads content_variables: 1:code,2:minutes.
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

// errHidesTransaction is about a template that would have something approved unseen.
const errHidesTransaction outbound.Failure = "content_variables has neither transaction nor text"

// hidesTransaction reports whether the template would not show the transaction of a message.
func (c *contentTemplate) hidesTransaction(m watchword.Message) bool {
	return len(m.Transaction) > 0 && !c.hasVariable(valueTransaction) && !c.hasVariable(valueText)
}

// encodeVariables writes the variables as JSON.
func (c *contentTemplate) encodeVariables(m watchword.Message, left time.Duration) (string, error) {
	if c.hidesTransaction(m) {
		return "", permanentError(errHidesTransaction)
	}
	transaction, err := delivery.DescribeTransaction(m.Transaction)
	if err != nil {
		return "", permanentError("the transaction cannot be shown as it is")
	}
	has := map[string]string{
		valueApp: m.App, valueCode: m.Code.Reveal(), valueLink: m.Link.Reveal(), valueMinutes: strconv.Itoa(roundToMinutes(left)),
		valueText: strings.Join(strings.Fields(m.Text), " "), // no variable may have a line end
	}
	if transaction == "" {
		transaction = "-" // nor be empty
	}
	has[valueTransaction] = transaction
	out := map[string]string{}
	for _, v := range c.variables {
		if out[v.name] = has[v.value]; out[v.name] == "" {
			return "", permanentError("the content has a variable for something that this message has not, such as a code or a link")
		}
	}
	text, err := json.Marshal(out)
	return string(text), err
}

// roundToMinutes are rounded, and at least one.
func roundToMinutes(left time.Duration) int { return max(1, int((left+time.Minute/2)/time.Minute)) }
