package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

const (
	environmentPrefix = "WATCHWORD_"
	configVariable    = "WATCHWORD_CONFIG"
)

// serviceVariables match the variables that Kubernetes gives every container for each service, for example for one that is called
// watchword or watchword-redis.
var serviceVariables = regexp.MustCompile(`^WATCHWORD(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)$`)

// findUnknownVariables returns a problem for each variable of the environment that looks like a setting and is none. An empty one
// is like none.
func findUnknownVariables(environment []string) (problems []error) {
	known := []string{configVariable}
	for _, o := range options() {
		known = append(known, o.env)
		if o.secret {
			known = append(known, o.env+"_FILE")
		}
	}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		if strings.HasPrefix(name, environmentPrefix) && value != "" && !slices.Contains(known, name) && !serviceVariables.MatchString(name) {
			problems = append(problems, fmt.Errorf("%s: there is no such variable%s", name, suggest(name, known)))
		}
	}
	return problems
}
