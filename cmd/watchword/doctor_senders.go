package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/watchword-auth/watchword"
	"github.com/watchword-auth/watchword/delivery"
	"github.com/watchword-auth/watchword/internal/outbound"
)

// checkSenders checks each sender, and the domain of each sender of mail.
func (a builtApp) checkSenders(ctx context.Context, _ *service) []checkResult {
	var mu sync.Mutex
	var all sync.WaitGroup
	var results []checkResult
	add := func(r ...checkResult) {
		mu.Lock()
		defer mu.Unlock()
		results = append(results, r...)
	}
	a.eachSender(func(name, _ string, sender watchword.Sender) {
		all.Go(func() {
			result := checkResult{name: name, err: delivery.CheckSender(ctx, sender)}
			if _, ok := sender.(delivery.Checker); ok {
				result.note = "connected"
			}
			add(result)
		})
		if mail, ok := sender.(delivery.MailSender); ok {
			all.Go(func() {
				add(checkMailDomain(ctx, net.DefaultResolver.LookupTXT, name+" "+mail.MailDomain(), mail.MailDomain())...)
			})
		}
	})
	all.Wait()
	slices.SortStableFunc(results, func(r, other checkResult) int { return strings.Compare(r.name, other.name) })
	return results
}

// eachSender calls f for each sender with a name for people, and its channel.
func (a builtApp) eachSender(f func(name, channel string, sender watchword.Sender)) {
	for _, channel := range channelNames(a.settings) {
		for i, p := range a.routes[channel] {
			f(fmt.Sprintf("app %q %s[%d] %s", a.settings.id, channel, i, p.Name), channel, p.Sender)
		}
	}
}

// checkMailDomain looks up who may send mail for a domain (SPF, RFC 7208) and what receivers do with other mail (DMARC, RFC 7489).
// DKIM keys cannot be looked up, because only a mail names them.
func checkMailDomain(ctx context.Context, lookup func(context.Context, string) ([]string, error), name, domain string) []checkResult {
	var missing []string
	for _, record := range []struct{ kind, host, prefix string }{{"SPF", domain, "v=spf1"}, {"DMARC", "_dmarc." + domain, "v=DMARC1"}} {
		texts, err := lookup(ctx, record.host)
		var dns *net.DNSError
		if err != nil && !(errors.As(err, &dns) && dns.IsNotFound) {
			return []checkResult{{name: name, note: "SPF and DMARC are not checked, because DNS does not answer"}}
		}
		if !slices.ContainsFunc(texts, func(text string) bool { return strings.HasPrefix(text, record.prefix) }) {
			missing = append(missing, record.kind)
		}
	}
	if len(missing) > 0 {
		return []checkResult{{name: name, warning: "DNS has no record of " + strings.Join(missing, " and ") + ", so mail may be refused or end as spam"}}
	}
	return []checkResult{{name: name, note: "SPF and DMARC are there; DKIM shows in the headers of a mail of --send-test"}}
}

func (a builtApp) checkEvents(ctx context.Context, _ *service) (results []checkResult) {
	off, errOff := a.publisher.TurnedOff(ctx) // a Redis that is down is reported elsewhere
	for i, err := range a.publisher.CheckEndpoints(ctx) {
		result := checkResult{name: fmt.Sprintf("app %q events[%d]", a.settings.id, i), note: "connected", err: err}
		if errOff == nil && off[i] {
			result.warning = "the endpoint answered 410 and is off until its URL or its types change"
		}
		results = append(results, result)
	}
	return results
}

// checkPublicURLs asks whether a server of watchword answers at each public URL. It need not run yet, so that is no failure.
func checkPublicURLs(ctx context.Context, svc *service) (results []checkResult) {
	var urls []string
	for _, a := range svc.built {
		if u := a.settings.publicURL; !slices.Contains(urls, u) {
			urls = append(urls, u)
		}
	}
	client := &http.Client{Timeout: lookupTimeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, u := range urls {
		result := checkResult{name: "public URL", note: u}
		if err := askHealth(ctx, client, u, healthPath); err != nil {
			result.warning = fmt.Sprintf("%s: %v", u, err)
		}
		results = append(results, result)
	}
	return results
}

// testLifetime is how long the code of a test message seems to be valid.
const testLifetime = 10 * time.Minute

// sendTestMessages sends an address a message with every sender of every app that fits: mail to a mailbox, SMS to a number.
func sendTestMessages(ctx context.Context, svc *service, address string) (results []checkResult) {
	fitting := delivery.ChannelEmail
	if !strings.Contains(address, "@") {
		fitting = "sms"
	}
	for _, a := range svc.built {
		a.eachSender(func(name, channel string, sender watchword.Sender) {
			if channel == fitting {
				results = append(results, checkResult{name: name + " test", note: "accepted", err: a.sendTest(ctx, sender, channel, address)})
			}
		})
	}
	if len(results) == 0 {
		results = append(results, checkResult{name: "test message", err: fmt.Errorf("no app has a sender for the channel %s", fitting)})
	}
	return results
}

// sendTest sends what a person who signs in would get, with a code that answers nothing.
func (a builtApp) sendTest(ctx context.Context, sender watchword.Sender, channel, to string) error {
	ctx, cancel := context.WithTimeout(ctx, doctorTimeout)
	defer cancel()
	address, err := a.addresses(channel, to)
	if err != nil {
		return err
	}
	render, err := delivery.NewRenderer(a.settings.rendererConfig(sender, a.templates, nil))
	if err != nil {
		return err
	}
	_, err = render.Send(ctx, watchword.Message{ID: "test_" + rand.Text(), ChallengeID: "test", Send: 1, App: cmp.Or(a.settings.name, a.settings.id), Channel: channel, To: address.Value,
		Purpose: watchword.PurposeSignIn, Code: watchword.NewCode("000000"), ExpiresAt: time.Now().Add(testLifetime), Lifetime: testLifetime})
	return err
}

// askHealth returns an error unless a server of watchword answers 200 at a path below a URL.
func askHealth(ctx context.Context, client *http.Client, baseURL, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer: %w", outbound.Reason(err))
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the answer is %d", res.StatusCode)
	}
	return nil
}
