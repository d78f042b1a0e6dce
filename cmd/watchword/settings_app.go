package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/hosts"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
)

// app checks one tenant of a production server.
func (c *checker) app(where string, cfg fileConfig, a appConfig) appSettings {
	s := appSettings{id: a.ID, name: a.Name, purposes: a.Purposes, origins: a.Origins, returnURLs: a.ReturnURLs, templates: c.path(a.Templates),
		codes: a.Codes, links: a.Links, rpID: a.RPID, breaker: a.PrefixBreaker, paths: appPaths(where, a),
		addresses: delivery.Addresses{Countries: a.Countries, DefaultRegion: a.DefaultRegion, Blocked: a.Blocked, BlockedPrefixes: a.BlockedPrefixes}}
	c.refuse(a.ID == "", "%s.id: missing", where)
	s.publicURL = cmp.Or(a.PublicURL, cfg.PublicURL)
	if s.returnURLs == nil {
		s.returnURLs = cfg.ReturnURLs
	}
	c.origins(s.paths["Issuer"], s.publicURL)
	for i, o := range a.Origins {
		c.origins(fmt.Sprintf("%s.origins[%d]", where, i), o)
	}
	for i, o := range s.returnURLs {
		c.origins(fmt.Sprintf("%s[%d]", s.paths["ReturnOrigins"], i), o)
	}
	c.rpID(where+".rp_id", cfg, s)
	s.pages = c.pages(where, a)
	c.noteFields(where+".pages", s.paths, s.pages.Check())
	s.keys = c.apiKeys(where, a.Keys)
	s.send = c.senders(where, cfg.Send, a.Send)
	s.limits = c.limits(where, a.Limits)
	c.testIdentities(where, s)
	for i, e := range a.Events {
		url := c.secret(fmt.Sprintf("%s.events[%d]", where, i), secretURL{URL: e.URL, File: e.URLFile})
		s.events = append(s.events, eventsSettings{url, e.Types})
	}
	return s
}

// appPaths are the paths of an app's settings: its own or, where it has none, those that are given for all apps.
func appPaths(where string, a appConfig) fieldPaths {
	paths := fieldPaths{"App": ".id", "Purposes": ".purposes", "SMSOrigin": ".origins[0]", "Lifetime": ".codes.lifetime", "Tries": ".codes.tries",
		"Sends": ".codes.sends", "Cooldown": ".codes.cooldown", "ReceiptLifetime": ".codes.receipt_lifetime", "Length": ".codes.length",
		"TestAddresses": ".codes.test", "RetrieverHash": ".codes.sms_retriever_hash", "Confirm": ".links.confirm", "RPID": ".rp_id", "RelatedOrigins": ".origins", "Countries": ".countries",
		"DefaultRegion": ".default_region", "Blocked": ".blocked", "BlockedPrefixes": ".blocked_prefixes", "Rules": ".limits", "Templates": ".templates", "PrefixBreaker": ".prefix_breaker",
		"Endpoints": ".events", "Pages.Color": ".pages.color", "Pages.Logo": ".pages.logo", "Issuer": ".public_url", "ReturnOrigins": ".return_urls"}
	for field, path := range paths {
		paths[field] = where + path
	}
	if a.PublicURL == "" {
		paths["Issuer"] = "public_url"
	}
	if a.ReturnURLs == nil {
		paths["ReturnOrigins"] = "return_urls"
	}
	return paths
}

// origins wants what a browser calls an origin, over https.
func (c *checker) origins(where, text string) {
	err := hosts.CheckOrigin(text)
	if err == nil && !strings.HasPrefix(text, "https://") {
		err = errors.New("must be https")
	}
	c.note(where, err)
}

// rpID wants a domain that the app's pages are at or below; what else it must be webauthn knows.
func (c *checker) rpID(where string, cfg fileConfig, s appSettings) {
	if s.rpID == "" {
		return
	}
	c.refuse(cfg.Database.URL == "" && cfg.Database.File == "", "%s: needs a database, where keys are kept", where)
	isDomain := hosts.CheckHost(s.rpID) == nil && !isIP(s.rpID)
	c.refuse(!isDomain, "%s: must be a domain such as example.com, in lower case", where)
	c.refuse(isDomain && len(s.ownOrigins()) == 0, "%s: neither public_url nor any of origins is at %q or below it", where, s.rpID)
}

// pages must agree with the strategy of links about how a link is confirmed.
func (c *checker) pages(where string, a appConfig) server.Pages {
	p := server.Pages{Color: a.Pages.Color, PressConfirms: pressConfirms(a.Links.Confirm)}
	if a.Pages.Logo != "" {
		var err error
		p.Logo, err = os.ReadFile(c.path(a.Pages.Logo))
		c.note(where+".pages.logo", err)
	}
	return p
}

func (c *checker) apiKeys(where string, keys []apiKeyConfig) (out []apiKey) {
	c.refuse(len(keys) == 0, "%s.keys: at least one is needed", where)
	scopes := []string{server.ScopeChallenges, server.ScopeFactors, server.ScopeFactorsAdmin}
	for i, k := range keys {
		where := fmt.Sprintf("%s.keys[%d]", where, i)
		sum, err := hex.DecodeString(k.SHA256)
		if err != nil || len(sum) != sha256.Size {
			c.refuse(true, "%s.sha256: must be the 64 hexadecimal digits that `watchword keys new` printed, not the key itself", where)
			continue
		}
		dev, admin, empty := sha256.Sum256([]byte(devKey)), sha256.Sum256([]byte(devAdminKey)), sha256.Sum256(nil)
		switch {
		case bytes.Equal(sum, dev[:]):
			c.refuse(true, "%s.sha256: the key %q is for development only", where, devKey)
		case bytes.Equal(sum, admin[:]):
			c.refuse(true, "%s.sha256: the key %q is for development only", where, devAdminKey)
		case bytes.Equal(sum, empty[:]):
			c.refuse(true, "%s.sha256: is that of an empty key", where)
		default:
			c.uses(usedSecret{where: where + ".sha256", use: useAPIKey, value: sum})
		}
		c.refuse(len(k.Scopes) == 0, "%s.scopes: at least one is needed", where)
		for n, s := range k.Scopes {
			c.refuse(!slices.Contains(scopes, s), "%s.scopes[%d]: %q is none of %s", where, n, s, strings.Join(scopes, ", "))
		}
		out = append(out, apiKey{[sha256.Size]byte(sum), k.Scopes})
	}
	return out
}

// senders are the app's own, channel by channel, and those given for all apps for the other channels.
func (c *checker) senders(where string, all, own map[string][]sendURL) map[string][]senderSettings {
	out := map[string][]senderSettings{}
	merged := maps.Clone(all)
	if merged == nil {
		merged = map[string][]sendURL{}
	}
	maps.Copy(merged, own)
	c.refuse(len(merged) == 0, "%s: no channel has a sender", below(where, "send"))
	for channel, urls := range merged {
		path := "send." + channel
		if _, isOwn := own[channel]; isOwn {
			path = below(where, path)
		}
		c.refuse(!channelPattern.MatchString(channel), "%s: a channel's name has 1 to 40 of a-z, 0-9 and _", path)
		for i, u := range urls {
			path := fmt.Sprintf("%s[%d]", path, i)
			text := c.secret(path, u)
			c.refuse(text.IsZero(), "%s: empty", path)
			out[channel] = append(out[channel], senderSettings{path, text})
		}
	}
	return out
}

var channelPattern = regexp.MustCompile(`^[a-z0-9_]{1,40}$`)

// below is the path of a setting in what has a path; the file itself, and development's one app, have none.
func below(where, path string) string { return strings.TrimPrefix(where+"."+path, ".") }

// limits are the app's own rules, all of them, or the defaults.
func (c *checker) limits(where string, limits *[]limitConfig) []ratelimit.Rule {
	if limits == nil {
		return ratelimit.DefaultRules()
	}
	rules := make([]ratelimit.Rule, len(*limits))
	for i, l := range *limits {
		c.refuse(l.Name == delivery.LimitPrefixBreaker, "%s.limits[%d].name: %q is the prefix breaker's own", where, i, l.Name)
		rules[i] = ratelimit.Rule{Name: l.Name, Limit: l.Limit, Window: l.Window, By: l.By, Channels: l.Channels}
	}
	return rules
}

// testIdentities refuses those that could never be used: an address that is compared in another spelling or refused, a
// purpose that the app does not have.
func (c *checker) testIdentities(where string, s appSettings) {
	policy, err := delivery.NewAddressPolicy(s.addresses)
	if err != nil {
		return // reported where the app is made
	}
	for i, t := range s.codes.Test {
		where := fmt.Sprintf("%s.codes.test[%d]", where, i)
		channel := delivery.ChannelEmail
		if !strings.Contains(t.Address, "@") {
			channel = "sms"
		}
		address, err := policy(channel, t.Address)
		switch {
		case t.Address == "": // reported where the strategy is made
		case address.Value == "":
			c.refuse(true, "%s.address: must be a mail address, or a number such as +14155550100", where)
		case address.Value != t.Address:
			c.refuse(true, "%s.address: is compared as %q: write it so", where, address.Value)
		case err != nil:
			c.refuse(true, "%s.address: the app refuses this address (countries, blocked, blocked_prefixes)", where)
		}
		for n, p := range t.Purposes {
			c.refuse(s.purposes != nil && !slices.Contains(s.purposes, p), "%s.purposes[%d]: %q is none of the app's purposes", where, n, p)
		}
	}
}
