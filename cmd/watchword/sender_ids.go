package main

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// senderIDs returns an id for each sender of a channel, by which messages that are under way know it after a reload or a restart. It
// is made of the URL without password and parameters, so that both may change. The order of the list does not matter: senders whose
// URLs differ in nothing else are numbered by their parameters. The ids are parts of URLs, and show no part of the sender's own.
func senderIDs(list []senderSettings) []string {
	ids, order, count := make([]string, len(list)), make([]int, len(list)), map[string]int{}
	parameters := make([]string, len(list))
	for i, s := range list {
		order[i] = i
		ids[i], parameters[i] = senderID(s)
	}
	slices.SortStableFunc(order, func(i, j int) int { return strings.Compare(parameters[i], parameters[j]) })
	for _, i := range order {
		id := ids[i]
		if count[id]++; count[id] > 1 {
			ids[i] += "-" + strconv.Itoa(count[id])
		}
	}
	return ids
}

// senderID returns the provider's name with a digest of its address and user, and the parameters of its URL.
func senderID(s senderSettings) (id, parameters string) {
	address := url.URL{}
	if u, err := url.Parse(s.url.Reveal()); err == nil { // a URL that cannot be parsed is refused later
		address = url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path, User: url.User(u.User.Username())}
		parameters = u.RawQuery
	}
	sum := sha256.Sum256([]byte(address.String()))
	return providerName(s.url) + "-" + hex.EncodeToString(sum[:6]), parameters
}
