package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// An option is a setting that can be a flag, an environment variable or a key of the file, in this order of precedence. If it
// may contain a password, the variable with the suffix _FILE can name a file with the value.
type option struct {
	flag, env string
	usage     string
	secret    bool
	split     func(text string) []string // splits the variable of a list; nil: one value
	apply     func(cfg *fileConfig, values []string) error
}

func (o option) isList() bool { return o.split != nil }

// splitAtCommas splits a list of origins. Spaces around them are ignored.
func splitAtCommas(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
}

// options returns the options of every command that needs a configuration.
func options() []option {
	text := func(field func(*fileConfig) *string) func(*fileConfig, []string) error {
		return func(cfg *fileConfig, values []string) error {
			*field(cfg) = values[0]
			return nil
		}
	}
	return []option{
		{flag: "listen", env: "WATCHWORD_LISTEN", usage: "`address` to listen on (default 127.0.0.1:8080)",
			apply: text(func(c *fileConfig) *string { return &c.Listen })},
		{flag: "metrics-listen", env: "WATCHWORD_METRICS_LISTEN", usage: "`address` to serve /metrics on (default: none)",
			apply: text(func(c *fileConfig) *string { return &c.MetricsListen })},
		{flag: "otlp-endpoint", env: "WATCHWORD_OTLP_ENDPOINT", usage: "base `URL` of a collector to send traces to, by OTLP over HTTP (default: none)",
			apply: text(func(c *fileConfig) *string { return &c.OTLPEndpoint })},
		{flag: "public-url", env: "WATCHWORD_PUBLIC_URL", usage: "public `URL` of the server, for people and apps",
			apply: text(func(c *fileConfig) *string { return &c.PublicURL })},
		{flag: "redis", env: "WATCHWORD_REDIS_URL", usage: "`URL` of Redis: redis://, rediss://, redis+sentinel:// or redis+cluster://",
			secret: true, apply: func(c *fileConfig, v []string) error { c.Redis.secretURL = secretURL{URL: v[0]}; return nil }},
		{flag: "database", env: "WATCHWORD_DATABASE_URL", usage: "`URL` of the database of factors: sqlite:///path or postgres://",
			secret: true, apply: func(c *fileConfig, v []string) error { c.Database = secretURL{URL: v[0]}; return nil }},
		{flag: "log-level", env: "WATCHWORD_LOG_LEVEL", usage: "lowest `level` that is logged: debug, info, warn or error (default info)",
			apply: text(func(c *fileConfig) *string { return &c.LogLevel })},
		{flag: "shutdown-delay", env: "WATCHWORD_SHUTDOWN_DELAY", usage: "`time` after SIGTERM in which /readyz fails and requests are still accepted, such as 10s (default none)",
			apply: applyShutdownDelay},
		{flag: "data-dir", env: "WATCHWORD_DATA_DIR", usage: "`folder` of the development keys (default ./.watchword)",
			apply: text(func(c *fileConfig) *string { return &c.DataDir })},
		{flag: "send", env: "WATCHWORD_SEND", usage: "`CHANNEL=URL` of a sender; repeatable; a channel's senders are tried in this order",
			secret: true, split: strings.Fields, apply: applySend}, // a URL has no spaces
		{flag: "outgoing-proxy", env: "WATCHWORD_OUTGOING_PROXY", usage: "`URL` of an HTTP proxy for senders and events (default: none)",
			secret: true, apply: func(c *fileConfig, v []string) error { c.OutgoingProxy = secretURL{URL: v[0]}; return nil }},
		{flag: "return-url", env: "WATCHWORD_RETURN_URLS", usage: "`ORIGIN` to which pages may return people; repeatable; the variable separates them by commas",
			split: splitAtCommas, apply: func(c *fileConfig, v []string) error { c.ReturnURLs = v; return nil }},
		{flag: "dev-no-limits", env: "WATCHWORD_DEV_NO_LIMITS", usage: "no limits on starts and on failed attempts, for load tests; development only",
			apply: applyNoLimits},
	}
}

func applyNoLimits(cfg *fileConfig, values []string) (err error) {
	if cfg.DevNoLimits, err = strconv.ParseBool(values[0]); err != nil {
		return errors.New("must be true or false")
	}
	return nil
}

func applyShutdownDelay(cfg *fileConfig, values []string) error {
	delay, err := time.ParseDuration(values[0])
	if err != nil || delay <= 0 {
		return errors.New("must be a positive duration with its unit, such as 10s")
	}
	cfg.ShutdownDelay = delay
	return nil
}

// applySend replaces the file's senders for all apps.
func applySend(cfg *fileConfig, values []string) error {
	cfg.Send = map[string][]sendURL{}
	for _, v := range values {
		channel, url, ok := strings.Cut(v, "=")
		if !ok || channel == "" || url == "" {
			return errors.New("must be of the form CHANNEL=URL")
		}
		cfg.Send[channel] = append(cfg.Send[channel], sendURL{URL: url})
	}
	return nil
}

// addFlags adds the options to a command's flags.
func addFlags(flags *pflag.FlagSet) {
	for _, o := range options() {
		usage := o.usage + "; " + o.env
		switch {
		case o.isList():
			flags.StringArray(o.flag, nil, usage)
		case o.flag == "dev-no-limits":
			flags.Bool(o.flag, false, usage)
		default:
			flags.String(o.flag, "", usage)
		}
	}
}

// applyOptions overrides settings of the file by environment variables, and both by flags.
func applyOptions(cfg *fileConfig, flags *pflag.FlagSet, lookup func(string) (string, bool)) (problems []error) {
	for _, o := range options() {
		values, name, err := o.lookupValues(flags, lookup)
		if err == nil && len(values) > 0 {
			err = o.apply(cfg, values)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", name, err))
		}
	}
	return problems
}

// lookupValues returns the values of the flag or, without one, of the environment, and the name of their source.
func (o option) lookupValues(flags *pflag.FlagSet, lookup func(string) (string, bool)) (values []string, name string, err error) {
	if flags.Changed(o.flag) {
		if o.isList() {
			values, err = flags.GetStringArray(o.flag)
		} else {
			values = []string{flags.Lookup(o.flag).Value.String()}
		}
		if slices.Contains(values, "") {
			err = errors.New("is empty: give it a value, or leave it out for the default")
		}
		return values, "--" + o.flag, err
	}
	text, _ := lookup(o.env) // set to nothing is not set
	name = o.env
	if path, _ := lookup(o.env + "_FILE"); o.secret && path != "" {
		name = o.env + "_FILE"
		if text != "" {
			return nil, name, fmt.Errorf("is set, and %s too", o.env)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return nil, name, err
		}
		if text = strings.TrimSpace(string(content)); text == "" {
			return nil, name, errors.New("names an empty file")
		}
	}
	switch {
	case text == "":
		return nil, name, nil
	case o.isList():
		return o.split(text), name, nil
	}
	return []string{text}, name, nil
}

// checkSecretFileModes checks the modes of the files that environment variables name.
func (c *checker) checkSecretFileModes(lookup func(string) (string, bool)) {
	for _, o := range options() {
		if path, _ := lookup(o.env + "_FILE"); o.secret && path != "" {
			c.checkFileMode(o.env+"_FILE", path)
		}
	}
}
