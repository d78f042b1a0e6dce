package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/ratelimit"
	"github.com/watchword-auth/watchword/server"
)

// app checks one tenant of a production server.
func (c *checker) app(where string, cfg fileConfig, a appConfig) appSettings {
	s := appSettings{id: a.ID, name: a.Name, purposes: a.Purposes, origins: a.Origins, returnURLs: a.ReturnURLs, templates: c.path(a.Templates),
		codes: a.Codes, links: a.Links, rpID: a.RPID, breaker: a.PrefixBreaker, addresses: delivery.Addresses{Countries: a.Countries, DefaultRegion: a.DefaultRegion, Blocked: a.Blocked, BlockedPrefixes: a.BlockedPrefixes}}
	c.refuse(a.ID == "", "%s: id: missing", where)
	s.publicURL = a.PublicURL
	if s.publicURL == "" {
		s.publicURL = cfg.PublicURL
	}
	c.note(where+": public_url", checkOrigin(s.publicURL))
	for _, o := range a.Origins {
		c.note(where+": origins: "+o, checkOrigin(o))
	}
	if s.returnURLs == nil {
		s.returnURLs = cfg.ReturnURLs
	}
	for _, o := range s.returnURLs {
		c.note(where+": return_urls: "+o, checkHTTPS(o))
	}
	c.refuse(s.rpID != "" && cfg.Database == (secretURL{}), "%s: rp_id: needs a database, where keys are kept", where)
	c.refuse(s.rpID != "" && len(s.ownOrigins()) == 0, "%s: rp_id: neither public_url nor any of origins is at %q or below it", where, s.rpID)
	s.pages = c.pages(where, a)
	s.keys = c.apiKeys(where, a.Keys)
	s.send = c.senders(where, cfg.Send, a.Send)
	s.limits = c.limits(where, a.Limits)
	for i, e := range a.Events {
		url := c.secret(fmt.Sprintf("%s: events[%d]", where, i), secretURL{URL: e.URL, File: e.URLFile})
		s.events = append(s.events, eventsSettings{url, e.Types})
	}
	return s
}

// pages must agree with the strategy of links about how a link is confirmed.
func (c *checker) pages(where string, a appConfig) server.Pages {
	p := server.Pages{Color: a.Pages.Color, PressConfirms: pressConfirms(a.Links.Confirm)}
	if a.Pages.Logo != "" {
		var err error
		p.Logo, err = os.ReadFile(c.path(a.Pages.Logo))
		c.note(where+": pages: logo", err)
	}
	return p
}

func (c *checker) apiKeys(where string, keys []apiKeyConfig) (out []apiKey) {
	c.refuse(len(keys) == 0, "%s: keys: at least one is needed", where)
	scopes := []string{server.ScopeChallenges, server.ScopeFactors, server.ScopeFactorsAdmin}
	for i, k := range keys {
		where := fmt.Sprintf("%s: keys[%d]", where, i)
		sum, err := hex.DecodeString(k.SHA256)
		if err != nil || len(sum) != sha256.Size {
			c.refuse(true, "%s: sha256: must be the 64 hexadecimal digits that `watchword keys new` printed, not the key itself", where)
			continue
		}
		dev, empty := sha256.Sum256([]byte(devKey)), sha256.Sum256(nil)
		switch {
		case bytes.Equal(sum, dev[:]):
			c.refuse(true, "%s: the key %q is for development only", where, devKey)
		case bytes.Equal(sum, empty[:]):
			c.refuse(true, "%s: sha256: is that of an empty key", where)
		default:
			c.uses(usedSecret{where: where, use: useAPIKey, value: sum})
		}
		c.refuse(len(k.Scopes) == 0, "%s: scopes: at least one is needed", where)
		for _, s := range k.Scopes {
			c.refuse(!slices.Contains(scopes, s), "%s: scopes: %q is none of %s", where, s, strings.Join(scopes, ", "))
		}
		out = append(out, apiKey{[sha256.Size]byte(sum), k.Scopes})
	}
	return out
}

// senders are the app's own, channel by channel, and those given for all apps for the other channels.
func (c *checker) senders(where string, all, own map[string][]sendURL) map[string][]watchword.Code {
	out := map[string][]watchword.Code{}
	merged := maps.Clone(all)
	if merged == nil {
		merged = map[string][]sendURL{}
	}
	maps.Copy(merged, own)
	c.refuse(len(merged) == 0, "%s: send: no channel has a sender", where)
	for channel, urls := range merged {
		c.refuse(len(urls) == 0, "%s: send: %s: no sender", where, channel)
		for i, u := range urls {
			text := c.secret(fmt.Sprintf("%s: send: %s[%d]", where, channel, i), u)
			c.refuse(text.IsZero(), "%s: send: %s[%d]: empty", where, channel, i)
			out[channel] = append(out[channel], text)
		}
	}
	return out
}

// limits are the app's own rules, all of them; none at all has to be asked for by leaving the defaults in place.
func (c *checker) limits(where string, limits *[]limitConfig) []ratelimit.Rule {
	if limits == nil {
		return ratelimit.Defaults()
	}
	c.refuse(len(*limits) == 0, "%s: limits: an empty list would allow everything; leave it out for the defaults", where)
	rules := make([]ratelimit.Rule, len(*limits))
	for i, l := range *limits {
		c.refuse(l.Name == delivery.LimitPrefixBreaker, "%s: limits[%d]: name: %q is the prefix breaker's own", where, i, l.Name)
		rules[i] = ratelimit.Rule{Name: l.Name, Limit: l.Limit, Window: l.Window, By: l.By, Channels: l.Channels}
	}
	return rules
}

// checkOrigin wants what a browser calls an origin, over https, in the one spelling without a slash at the end.
func checkOrigin(text string) error {
	if err := checkHTTPS(text); err != nil {
		return err
	}
	if u, _ := url.Parse(text); u.Path != "" || u.RawQuery != "" || u.Fragment != "" || text != "https://"+u.Host {
		return errors.New("must be scheme and host only, as in https://verify.example.com")
	}
	return nil
}

func checkHTTPS(text string) error {
	u, err := url.Parse(text)
	switch {
	case text == "":
		return errors.New("missing")
	case err != nil || u.Host == "" || u.User != nil:
		return errors.New("is not a URL of the form https://verify.example.com")
	case u.Scheme != "https":
		return errors.New("must be https")
	}
	return nil
}
