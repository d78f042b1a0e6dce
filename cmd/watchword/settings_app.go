package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
)

// checkApp checks one app of a production server.
func (c *checker) checkApp(where string, cfg fileConfig, a appConfig) appSettings {
	s := appSettings{
		id: a.ID, name: a.Name, origins: a.Origins, returnURLs: a.ReturnURLs, rpID: a.RPID,
		templates: c.resolvePath(a.Templates), codes: a.Codes, links: a.Links, breaker: a.PrefixBreaker, paths: appPaths(where, cfg, a),
		mails:     delivery.MailConfig{Color: a.Pages.Color, ColorDark: a.Pages.ColorDark, Logo: a.Mails.Logo, CodeInSubject: a.Mails.CodeInSubject},
		addresses: delivery.Addresses{Countries: a.Countries, DefaultRegion: a.DefaultRegion, Blocked: a.Blocked, BlockedPrefixes: a.BlockedPrefixes},
	}
	c.addProblemIf(a.ID == "", "%s.id: missing", where)
	c.readPurposes(where, a.Purposes, &s)
	if t := a.TrustedDevices; t != nil {
		c.addProblemIf(cfg.Database.URL == "" && cfg.Database.File == "", "%s.trusted_devices: needs a database, in which devices are kept", where)
		c.addProblemIf(len(t.Purposes) == 0, "%s.trusted_devices.purposes: missing: name the purposes that a trusted device answers", where)
		s.trustedDevices = watchword.TrustedDevices(*t)
	}
	s.publicURL = cmp.Or(a.PublicURL, cfg.PublicURL)
	if s.returnURLs == nil {
		s.returnURLs = cfg.ReturnURLs
	}
	c.checkHTTPSOrigin(s.paths["Issuer"], s.publicURL)
	for i, o := range a.Origins {
		c.checkHTTPSOrigin(fmt.Sprintf("%s.origins[%d]", where, i), o)
	}
	for i, o := range s.returnURLs {
		c.checkHTTPSOrigin(fmt.Sprintf("%s[%d]", s.paths["ReturnOrigins"], i), o)
	}
	c.checkRPID(where+".rp_id", cfg, s)
	s.pages = c.readPages(where, a)
	c.addFieldErrors(where+".pages", s.paths, s.pages.Check())
	s.keys = c.apiKeys(where, a.Keys)
	s.send = c.mergeSenders(where, cfg.Send, a.Send)
	s.noReportAfter = c.failoverTimes(where, a.Failover, s.paths)
	s.limits = c.limitRules(where, a.Limits)
	c.checkTestIdentities(where, s)
	for i, e := range a.Events {
		url := c.readSecretURL(fmt.Sprintf("%s.events[%d]", where, i), secretURL{URL: e.URL, File: e.URLFile})
		s.events = append(s.events, eventsSettings{url, e.Types})
	}
	return s
}

// appPaths maps the fields of Go configurations to the app's settings in the file. A setting that the app does not have itself
// maps to the one for all apps.
func appPaths(where string, cfg fileConfig, a appConfig) fieldPaths {
	paths := fieldPaths{"App": ".id", "Purposes": ".purposes", "SMSOrigin": ".origins[0]", "Lifetime": ".codes.lifetime", "Tries": ".codes.tries",
		"Sends": ".codes.sends", "Cooldown": ".codes.cooldown", "ReceiptLifetime": ".codes.receipt_lifetime", "Length": ".codes.length",
		"TestAddresses": ".codes.test", "RetrieverHash": ".codes.sms_retriever_hash", "Confirm": ".links.confirm", "RPID": ".rp_id", "Origins": ".origins", "RelatedOrigins": ".origins", "Countries": ".countries",
		"DefaultRegion": ".default_region", "Blocked": ".blocked", "BlockedPrefixes": ".blocked_prefixes", "Rules": ".limits", "Templates": ".templates", "PrefixBreaker": ".prefix_breaker",
		"Endpoints": ".events", "Pages.Color": ".pages.color", "Pages.ColorDark": ".pages.color_dark", "Pages.Logo": ".pages.logo", "Pages.LogoDark": ".pages.logo_dark", "Pages.URL": ".pages.url",
		"Mail.Color": ".pages.color", "Mail.ColorDark": ".pages.color_dark", "Mail.Logo": ".mails.logo", "Issuer": ".public_url", "ReturnOrigins": ".return_urls",
		"TrustedDevices.Purposes": ".trusted_devices.purposes", "TrustedDevices.Lifetime": ".trusted_devices.lifetime"}
	for field, path := range paths {
		paths[field] = where + path
	}
	if a.PublicURL == "" && cfg.PublicURL != "" {
		paths["Issuer"] = "public_url"
	}
	if a.ReturnURLs == nil {
		paths["ReturnOrigins"] = "return_urls"
	}
	return paths
}

// readPurposes reads the purposes of an app and their lifetimes.
func (c *checker) readPurposes(where string, purposes []purposeConfig, s *appSettings) {
	s.lifetimes = map[string]time.Duration{}
	for i, p := range purposes {
		path := fmt.Sprintf("%s.purposes[%d]", where, i)
		if p.Name == "" {
			c.addProblemIf(true, "%s.name: missing", path)
			continue
		}
		c.addProblemIf(slices.Contains(s.purposes, p.Name), "%s: %q is there twice", path, p.Name)
		s.purposes = append(s.purposes, p.Name)
		if p.Lifetime > 0 {
			s.lifetimes[p.Name], s.paths["Lifetimes."+p.Name] = p.Lifetime, path+".lifetime"
		}
	}
}

// checkHTTPSOrigin checks that a text is an https origin: scheme, host and perhaps port (RFC 6454).
func (c *checker) checkHTTPSOrigin(where, text string) {
	err := hosts.CheckOrigin(text)
	if err == nil && !strings.HasPrefix(text, "https://") {
		err = errors.New("must be https")
	}
	c.addError(where, err)
}

// checkRPID checks that the relying-party id is a domain, and that a page of the app is at or below it. The webauthn package
// checks the rest.
func (c *checker) checkRPID(where string, cfg fileConfig, s appSettings) {
	if s.rpID == "" {
		return
	}
	c.addProblemIf(cfg.Database.URL == "" && cfg.Database.File == "", "%s: needs a database, in which passkeys are kept", where)
	isDomain := hosts.CheckHost(s.rpID) == nil && !isIP(s.rpID)
	c.addProblemIf(!isDomain, "%s: must be a domain such as example.com, in lower case", where)
	c.addProblemIf(isDomain && hosts.CheckOrigin(s.publicURL) == nil && len(s.ownOrigins()) == 0, "%s: neither public_url nor any of origins is at %q or below it", where, s.rpID)
}

func (c *checker) apiKeys(where string, keys []apiKeyConfig) (out []apiKey) {
	c.addProblemIf(len(keys) == 0, "%s.keys: at least one is needed", where)
	scopes := server.Scopes()
	for i, k := range keys {
		where := fmt.Sprintf("%s.keys[%d]", where, i)
		sum, err := hex.DecodeString(k.SHA256)
		if err != nil || len(sum) != sha256.Size {
			c.addProblemIf(true, "%s.sha256: must be the 64 hexadecimal digits that `watchword keys new` printed, not the key itself", where)
			continue
		}
		dev, admin, empty := sha256.Sum256([]byte(devKey)), sha256.Sum256([]byte(devAdminKey)), sha256.Sum256(nil)
		switch {
		case bytes.Equal(sum, dev[:]):
			c.addProblemIf(true, "%s.sha256: the key %q is for development only", where, devKey)
		case bytes.Equal(sum, admin[:]):
			c.addProblemIf(true, "%s.sha256: the key %q is for development only", where, devAdminKey)
		case bytes.Equal(sum, empty[:]):
			c.addProblemIf(true, "%s.sha256: is the digest of an empty key", where)
		default:
			c.addSecrets(usedSecret{where: where + ".sha256", use: useAPIKey, value: sum})
		}
		c.addProblemIf(len(k.Scopes) == 0, "%s.scopes: at least one is needed", where)
		for n, s := range k.Scopes {
			c.addProblemIf(!slices.Contains(scopes, s), "%s.scopes[%d]: %q is none of %s%s", where, n, s, strings.Join(scopes, ", "), suggest(s, scopes))
		}
		out = append(out, apiKey{[sha256.Size]byte(sum), k.Scopes})
	}
	return out
}

// mergeSenders returns the app's own senders and, for channels without any, those of all apps.
func (c *checker) mergeSenders(where string, all, own map[string][]sendURL) map[string][]senderSettings {
	out := map[string][]senderSettings{}
	merged := maps.Clone(all)
	if merged == nil {
		merged = map[string][]sendURL{}
	}
	maps.Copy(merged, own)
	c.addProblemIf(len(merged) == 0, "%s: no channel has a sender", joinPath(where, "send"))
	for channel, urls := range merged {
		path := "send." + channel
		if _, isOwn := own[channel]; isOwn {
			path = joinPath(where, path)
		}
		c.addProblemIf(!channelPattern.MatchString(channel), "%s: a channel's name has 1 to 40 of a-z, 0-9 and _", path)
		if !c.checkChannelName(path, channel) {
			continue
		}
		for i, u := range urls {
			path := fmt.Sprintf("%s[%d]", path, i)
			c.addProblemIf(u == sendURL{}, "%s: empty", path)
			if text := c.readSecretURL(path, u); !text.IsZero() {
				out[channel] = append(out[channel], senderSettings{path, text})
			}
		}
	}
	return out
}

// failoverTimes returns how long delivery reports are awaited, by channel. It adds the path of each channel.
func (c *checker) failoverTimes(where string, channels map[string]failoverConfig, paths fieldPaths) map[string]time.Duration {
	times := map[string]time.Duration{}
	for channel, f := range channels {
		path := where + ".failover." + channel
		paths["Failover."+channel] = path
		c.addProblemIf(f.NoReportAfter == 0, "%s.no_report_after: missing", path)
		if f.NoReportAfter != 0 {
			times[channel] = f.NoReportAfter
		}
	}
	return times
}

// knownChannels returns the channels that are no names of an app's own.
func knownChannels() []string { return []string{delivery.ChannelEmail, "sms", "voice", "whatsapp"} }

// checkChannelName refuses a channel that is probably a known one, mistyped, and reports whether the name is good.
func (c *checker) checkChannelName(path, channel string) bool {
	question := suggest(channel, knownChannels())
	mistyped := question != "" && channelPattern.MatchString(channel) && !slices.Contains(knownChannels(), channel)
	c.addProblemIf(mistyped, "%s: there is no such channel%s", path, question)
	return !mistyped
}

var channelPattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// joinPath appends a path to another. The file itself and the app of development mode have an empty path.
func joinPath(where, path string) string { return strings.TrimPrefix(where+"."+path, ".") }

// limitRules returns the app's limits, or the defaults if it has none.
func (c *checker) limitRules(where string, limits *[]limitConfig) []ratelimit.Rule {
	if limits == nil {
		return ratelimit.DefaultRules()
	}
	rules := make([]ratelimit.Rule, len(*limits))
	for i, l := range *limits {
		c.addProblemIf(l.Name == delivery.LimitPrefixBreaker, "%s.limits[%d].name: %q is reserved for the prefix breaker", where, i, l.Name)
		for n, channel := range l.Channels {
			c.checkChannelName(fmt.Sprintf("%s.limits[%d].channels[%d]", where, i, n), channel)
		}
		rules[i] = ratelimit.Rule{Name: l.Name, Limit: l.Limit, Window: l.Window, By: l.By, Channels: l.Channels}
	}
	return rules
}

// checkTestIdentities refuses test identities that could never be used: an address that is refused or not in canonical form, or
// a purpose that the app does not have.
func (c *checker) checkTestIdentities(where string, s appSettings) {
	policy, err := delivery.NewAddressPolicy(s.addresses)
	if err != nil {
		return // reported when the app is built
	}
	for i, t := range s.codes.Test {
		where := fmt.Sprintf("%s.codes.test[%d]", where, i)
		channel := delivery.ChannelEmail
		if !strings.Contains(t.Address, "@") {
			channel = "sms"
		}
		address, err := policy(channel, t.Address)
		switch {
		case t.Address == "": // reported when the strategy is made
		case address.Value == "":
			c.addProblemIf(true, "%s.address: must be a mail address, or a number such as +14155550100", where)
		case address.Value != t.Address:
			c.addProblemIf(true, "%s.address: is not in canonical form; write %q", where, address.Value)
		case err != nil:
			c.addProblemIf(true, "%s.address: the app refuses this address (countries, blocked, blocked_prefixes)", where)
		}
		for n, p := range t.Purposes {
			c.addProblemIf(s.purposes != nil && !slices.Contains(s.purposes, p), "%s.purposes[%d]: %q is none of the app's purposes", where, n, p)
		}
	}
}
