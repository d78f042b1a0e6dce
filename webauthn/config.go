package webauthn

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword"
)

// A Config says for which site keys are made and what is asked of them. [New] reports everything that is wrong at once.
type Config struct {
	RPID   string // the domain that keys are bound to, example.com; required. Keys made for another one are not used
	RPName string // the site's name, as browsers show it; required

	// Secret makes user handles, and decoys for subjects without keys: at least 32 random bytes, the same on all nodes.
	// If it changes, keys go on working, but decoys change and a subject's new keys are listed as another account's.
	Secret watchword.Code

	Origins        []string // of pages at RPID or below, as browsers write them: https://login.example.com; required
	RelatedOrigins []string // of other sites that may use the keys; Strategy.RelatedOrigins publishes them
	NativeOrigins  []string // of apps that are no pages: android:apk-key-hash:...
	CrossOrigin    bool     // the pages may be embedded in others' pages
	TopOrigins     []string // in whose; a browser that names another one is refused

	Policies     map[string]Policy // by purpose
	Counter      Reaction          // to a signature counter that did not grow, perhaps a copied key; default Warn
	BackupChange Reaction          // to a key whose backup eligibility has changed; default Reject
	Attestation  *Attestation      // which models of authenticators may be enrolled; nil: all, and none is asked for proof

	Logger *slog.Logger // hears why answers were refused; default: nothing is logged
}

// A Policy is what is asked of keys for one purpose.
type Policy struct {
	// UserVerification is whether the authenticator must verify its user (PIN, fingerprint, face), by default Required,
	// and Discouraged for mfa. Where a challenge names nobody it is always Required.
	UserVerification Requirement
	// Hints tell the browser what to offer first: security-key, client-device, hybrid (Level 3 §5.8.7).
	Hints []string

	ResidentKey Requirement // for enrol only: whether the key must be discoverable; default Preferred
	Attachment  string      // for enrol only: platform or cross-platform; default either
}

// A Requirement is how much something is wanted, in the words of the options.
type Requirement string

// The requirements.
const (
	Required    Requirement = "required"
	Preferred   Requirement = "preferred"
	Discouraged Requirement = "discouraged"
)

// A Reaction is what comes of a sign that something may be wrong with a key.
type Reaction string

// The reactions.
const (
	Warn   Reaction = "warn"   // the log and the receipt say so
	Reject Reaction = "reject" // the answer is wrong
)

// minSecret is the least length of Config.Secret, in bytes.
const minSecret = 32

func (c *Config) setDefaults() {
	if c.Counter == "" {
		c.Counter = Warn
	}
	if c.BackupChange == "" {
		c.BackupChange = Reject
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
}

// policy is what is asked for a purpose, with defaults.
func (c *Config) policy(purpose string) Policy {
	p := c.Policies[purpose]
	if p.UserVerification == "" {
		p.UserVerification = Required
		if purpose == watchword.PurposeMFA {
			p.UserVerification = Discouraged
		}
	}
	if p.ResidentKey == "" {
		p.ResidentKey = Preferred
	}
	return p
}

// check reports everything that is missing or unsafe.
func (c *Config) check() error {
	var problems []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf("webauthn: "+format, args...))
		}
	}
	refuse(c.RPName == "", "RPName: missing, the name that browsers show")
	refuse(len(c.Secret.Reveal()) < minSecret, "Secret: needs at least %d random bytes", minSecret)
	refuse(len(c.Origins) == 0, "Origins: at least one is needed")
	refuse(len(c.TopOrigins) > 0 && !c.CrossOrigin, "TopOrigins: mean nothing without CrossOrigin")
	refuse(!c.Counter.isKnown(), "Counter: %q is neither %s nor %s", c.Counter, Warn, Reject)
	refuse(!c.BackupChange.isKnown(), "BackupChange: %q is neither %s nor %s", c.BackupChange, Warn, Reject)
	for _, err := range slices.Concat(c.originProblems(), c.policyProblems()) {
		refuse(true, "%w", err)
	}
	if c.Attestation != nil {
		refuse(c.Attestation.Metadata == nil, "Attestation: needs Metadata, without which an authenticator may call itself what it likes")
		_, err := parseAAGUIDs(slices.Concat(c.Attestation.Allow, c.Attestation.Deny))
		refuse(err != nil, "Attestation: %w", err)
		refuse(len(c.Attestation.Allow) > 0 && len(c.Attestation.Deny) > 0, "Attestation: Allow and Deny exclude each other")
	}
	return errors.Join(problems...)
}

func (r Reaction) isKnown() bool { return r == Warn || r == Reject }

// policyProblems looks for words that browsers would ignore.
func (c *Config) policyProblems() (problems []error) {
	hints := []string{string(protocol.PublicKeyCredentialHintSecurityKey), string(protocol.PublicKeyCredentialHintClientDevice),
		string(protocol.PublicKeyCredentialHintHybrid)}
	requirements := []Requirement{"", Required, Preferred, Discouraged}
	attachments := []string{"", string(protocol.Platform), string(protocol.CrossPlatform)}
	for purpose, p := range c.Policies {
		refuse := func(bad bool, format string, args ...any) {
			if bad {
				problems = append(problems, fmt.Errorf("Policies[%s]: "+format, append([]any{purpose}, args...)...))
			}
		}
		refuse(!slices.Contains(requirements, p.UserVerification), "UserVerification: %q is no requirement", p.UserVerification)
		refuse(!slices.Contains(requirements, p.ResidentKey), "ResidentKey: %q is no requirement", p.ResidentKey)
		refuse(!slices.Contains(attachments, p.Attachment), "Attachment: %q is neither platform nor cross-platform", p.Attachment)
		for _, h := range p.Hints {
			refuse(!slices.Contains(hints, h), "Hints: %q is none of %q", h, hints)
		}
		refuse(purpose != watchword.PurposeEnrol && p.ResidentKey+Requirement(p.Attachment) != "", "ResidentKey and Attachment are for %s only", watchword.PurposeEnrol)
	}
	return problems
}
