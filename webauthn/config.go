package webauthn

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/watchword-auth/watchword"
)

// A Config configures a [Strategy]. [New] reports all invalid settings together.
type Config struct {
	RPID   string // relying party id: the domain that keys are bound to, such as example.com; required
	RPName string // the site's name, which browsers show; required

	// Secret derives user handles, and the decoy keys of subjects without keys. It has at least 32 random bytes and is the
	// same on all nodes. If it changes, enrolled keys still work, but decoys change, and passkey providers list a subject's
	// new keys under a second account.
	Secret watchword.Code

	Origins        []string // of pages on RPID or a subdomain, exactly as browsers send them: https://login.example.com; required
	RelatedOrigins []string // of other sites that may use the keys; Strategy.RelatedOrigins publishes them
	NativeOrigins  []string // of native apps: android:apk-key-hash:...
	CrossOrigin    bool     // whether the pages may be embedded in pages of other origins
	TopOrigins     []string // the only top-level origins accepted, if the browser reports one; needs CrossOrigin

	Policies     map[string]Policy // by purpose
	Counter      Reaction          // to a signature counter that did not increase, which may mean a copied key; default Warn
	BackupChange Reaction          // to a key whose backup eligibility has changed; default Reject
	Attestation  *Attestation      // authenticator models that may be enrolled; nil: any, without attestation

	Logger *slog.Logger // receives the reasons of refused answers; default: nothing is logged
}

// A Policy configures the ceremonies of one purpose.
type Policy struct {
	// UserVerification is whether the authenticator must verify its user, by PIN, fingerprint or face. The default is
	// Required, and Discouraged for mfa. A challenge without a subject always requires it.
	UserVerification Requirement
	// Hints suggest to the browser which authenticators to offer first: security-key, client-device, hybrid (Level 3 §5.8.7).
	Hints []string

	ResidentKey Requirement // for enrol only: whether the key must be discoverable; default Preferred
	Attachment  string      // for enrol only: platform or cross-platform; default either
}

// A Requirement is the degree to which the options ask for something (Level 3 §5.4.6, §5.8.6).
type Requirement string

// The requirements.
const (
	Required    Requirement = "required"
	Preferred   Requirement = "preferred"
	Discouraged Requirement = "discouraged"
)

// A Reaction is the response to a sign that a key may have been copied or replaced.
type Reaction string

// The reactions.
const (
	Warn   Reaction = "warn"   // accept the answer; log a warning and note it in the receipt
	Reject Reaction = "reject" // refuse the answer
)

// minSecret is the minimum length of Config.Secret, in bytes.
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

// policy returns the policy of a purpose, with defaults.
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

// check returns all settings that are missing or unsafe, joined.
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

// policyProblems returns values that browsers would ignore.
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
