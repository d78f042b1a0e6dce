package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/watchword-auth/watchword/internal/freeport"
	"github.com/watchword-auth/watchword/internal/pgtest"
	"github.com/watchword-auth/watchword/internal/redistest"
)

// A fault is something that breaks a server from outside, and what readiness and the doctor call it.
type fault struct {
	name         string
	breaks, ends func(t testing.TB)
	cause        string
}

// A faultyServer is a server with what it needs, each of which can be broken.
type faultyServer struct {
	*node
	config string
	env    []string
}

// startFaultyServer starts a server on a Redis and perhaps a database and a relay. Empty URLs stand for working ones.
func startFaultyServer(t *testing.T, redisURL, databaseURL, relayURL string) *faultyServer {
	t.Helper()
	sink := startSink(t)
	send := `sms: ["webhook+https://` + sink.address + `/?secret=` + eventsSecret + `"]`
	if relayURL != "" {
		send += `, email: ["` + relayURL + `"]`
	}
	rest := `apps:
  - id: shop
    keys: [{sha256: ` + apiKeyDigest("shop-key") + `, scopes: [challenges]}]
    send: {` + send + `}
`
	if databaseURL != "" {
		rest = `database: "` + databaseURL + "\"\n" + rest
	}
	s := &faultyServer{env: []string{"SSL_CERT_FILE=" + sink.certificate}, config: writeProductionConfig(t, redisURL, rest)}
	s.node = startServer(t, s.env, "--config", s.config)
	s.key = "shop-key"
	return s
}

// requireNamed requires that readiness and the doctor name each fault while it lasts, and that both recover by themselves.
func (s *faultyServer) requireNamed(faults ...fault) {
	s.t.Helper()
	for _, f := range faults {
		s.t.Log(f.name)
		f.breaks(s.t)
		s.awaitReadiness(http.StatusServiceUnavailable, f.cause)
		s.awaitDoctor(s.env, s.config, f.cause)
		f.ends(s.t)
		s.awaitReadiness(http.StatusOK, "")
		s.awaitDoctor(s.env, s.config, "")
	}
}

func TestReadinessAndDoctorNameFaultsOfRedis(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t)
	do := func(command ...any) func(testing.TB) {
		return func(t testing.TB) {
			if _, err := redis.Do(t.Context(), command...); err != nil {
				t.Error(err)
			}
		}
	}
	do("acl", "setuser", "app", "on", ">kF3vQ8zLwR2x", "~{watchword*", "+@all")(t)
	s := startFaultyServer(t, "redis://app:kF3vQ8zLwR2x@"+redis.Addr, "", "")
	const noRight = "user has no right to a command or a key"
	s.requireNamed(
		fault{"wrong key pattern", do("acl", "setuser", "app", "resetkeys", "~watchword*"), do("acl", "setuser", "app", "resetkeys", "~{watchword*"), noRight},
		fault{"no scripts", do("acl", "setuser", "app", "-@scripting"), do("acl", "setuser", "app", "+@scripting"), noRight},
		fault{"replica", do("replicaof", "127.0.0.1", "1"), do("replicaof", "no", "one"), "server is a replica and takes no writes (READONLY)"},
		fault{"full memory", do("config", "set", "maxmemory", 1), do("config", "set", "maxmemory", 0), "server's memory is full (OOM)"},
		fault{"eviction", do("config", "set", "maxmemory-policy", "allkeys-lru"), do("config", "set", "maxmemory-policy", "noeviction"), "it must be noeviction"},
	)
}

func TestReadinessAndDoctorNameMissingReplicas(t *testing.T) {
	t.Parallel()
	redis := redistest.Start(t, "--repl-diskless-sync-delay", "0")
	host, port := redis.HostPort()
	replica := redistest.Start(t, "--replicaof", host+" "+port)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(redis.AwaitReplica(t.Context()))
	s := &faultyServer{config: writeProductionConfig(t, redis.URL(), "")}
	sink := startSink(t)
	s.env = []string{"SSL_CERT_FILE=" + sink.certificate}
	text := strings.Replace(readDoc(t, s.config), `redis: "`+redis.URL()+`"`, `redis: {url: "`+redis.URL()+`", wait_replicas: 1}`, 1) + `apps:
  - id: shop
    keys: [{sha256: ` + apiKeyDigest("shop-key") + `, scopes: [challenges]}]
    send: {sms: ["webhook+https://` + sink.address + `/?secret=` + eventsSecret + `"]}
`
	must(os.WriteFile(s.config, []byte(text), 0o600))
	s.node = startServer(t, s.env, "--config", s.config)
	s.requireNamed(fault{"no replica",
		func(t testing.TB) { replica.Stop(); must(redis.AwaitNoReplica(t.Context())) },
		func(t testing.TB) { must(replica.Start()); must(redis.AwaitReplica(t.Context())) },
		"too few replicas are online, so nothing is written"})
}

func TestReadinessAndDoctorNameFaultsOfTheDatabase(t *testing.T) {
	t.Parallel()
	server := pgtest.Start(t)
	if !server.CanCrash() {
		t.Skipf("%s is not ours to stop", pgtest.Environment)
	}
	database := server.LimitedDatabase(t, 10)
	s := startFaultyServer(t, memoryURL, database, "")
	// alter changes a setting and ends the sessions that have the old one.
	alter := func(statement string) func(testing.TB) {
		return func(t testing.TB) { server.Alter(t, database, statement) }
	}
	s.requireNamed(
		fault{"down", func(testing.TB) { server.Crash() }, func(t testing.TB) { server.Restart(t) }, "connection refused"},
		fault{"hanging", func(t testing.TB) {
			server.Pause(t)
			if r := s.call("POST", "/v1/challenges", object{"strategy": "totp", "purpose": "mfa", "subject": "user_42"}); r.errorCode() != "unavailable" {
				t.Errorf("a start without a database is answered %d %s", r.status, r.text)
			}
		}, func(t testing.TB) { server.Resume(t) }, "time-out"},
		fault{"read-only", alter("ALTER ROLE limited SET default_transaction_read_only = on"), alter("ALTER ROLE limited RESET default_transaction_read_only"), "database is read-only (SQLSTATE 25006)"},
		fault{"out of connections", alter("ALTER ROLE limited CONNECTION LIMIT 0"), alter("ALTER ROLE limited CONNECTION LIMIT 10"), "server gives no more connections (SQLSTATE 53300)"},
		fault{"no right", alter("REVOKE UPDATE ON watchword_factors FROM limited"), alter("GRANT UPDATE ON watchword_factors TO limited"), "user has no right to the table (SQLSTATE 42501)"},
	)
}

// A key that another server already encrypts with is missing until it is in the keyring, or nothing is encrypted with it any more.
func TestReadinessAndDoctorNameMissingKey(t *testing.T) {
	t.Parallel()
	s := startFaultyServer(t, memoryURL, "sqlite://factors.db", "")
	dir := filepath.Dir(s.config)
	run := func(arguments ...string) {
		t.Helper()
		cmd := exec.Command("watchword", arguments...)
		cmd.Env = append(cmd.Environ(), s.env...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", arguments, err, out)
		}
	}
	run("keys", "new", "--dir", filepath.Join(dir, "new"), "--name", "2")
	withKeyring := func(name, keyring string) string {
		path := filepath.Join(dir, name)
		text := strings.Replace(readDoc(t, s.config), `keyring: [{id: "1", secret_file: keyring-1.key}]`, "keyring: ["+keyring+"]", 1)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const first, second = `{id: "1", secret_file: keyring-1.key}`, `{id: "2", secret_file: new/keyring-2.key}`
	s.requireNamed(fault{"missing key",
		func(t testing.TB) { run("doctor", "--config", withKeyring("newer.yaml", second+", "+first)) },
		func(t testing.TB) { run("keys", "rotate", "--config", withKeyring("older.yaml", first+", "+second)) },
		"is not in the keyring"})
}

func TestReadinessAndDoctorNameDeadRelay(t *testing.T) {
	t.Parallel()
	relay := startCollectingRelay(t, freeport.Address(t)) // which is free again after the relay's end
	s := startFaultyServer(t, memoryURL, "", "smtp://"+relay.address+"?from=noreply@shop.example")
	s.requireNamed(fault{"dead relay",
		func(testing.TB) { relay.stop() },
		func(t testing.TB) { relay = startCollectingRelay(t, relay.address) },
		"connection refused"})
	if out, err := s.doctor(s.env, s.config); !strings.Contains(out, `app "shop" email[0] smtp`) {
		t.Errorf("doctor has no line for the relay: %v\n%s", err, out)
	}
}

// A host that resolves to a private network that is not allowed prevents the start, instead of failing at the first message.
func TestServeRefusesHostsOnNetworksThatAreNotAllowed(t *testing.T) {
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	addresses, err := net.LookupHost(name)
	if err != nil || slices.ContainsFunc(addresses, func(a string) bool { ip := net.ParseIP(a); return !ip.IsLoopback() && !ip.IsPrivate() }) {
		t.Skipf("%s resolves to %q, %v: not to a private address", name, addresses, err)
	}
	config := writeProductionConfig(t, memoryURL, `apps:
  - id: shop
    keys: [{sha256: `+apiKeyDigest("shop-key")+`, scopes: [challenges]}]
    send: {email: ["smtp://`+name+`:25?from=noreply@shop.example"]}
    events: [{url: "https://`+name+`/?secret=`+eventsSecret+`"}]
`)
	text := strings.Replace(readDoc(t, config), "allowed_networks: [127.0.0.0/8]", "allowed_networks: [192.0.2.0/24]", 1)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := runCommand(t, "check-config", "--config", config); err != nil {
		t.Errorf("check-config resolves names: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
	defer cancel()
	for _, command := range []string{"serve", "doctor"} {
		root := newRootCommand(io.Discard, io.Discard)
		root.SetArgs([]string{command, "--config", config})
		err := root.ExecuteContext(ctx)
		for _, path := range []string{"apps[0].send.email[0]", "apps[0].events[0].url"} {
			if want := path + ": the URL's host resolves to an address outside of allowed_networks"; err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", command, err, want)
			}
		}
	}
}

// The doctor's test message is what a person would get, sent by each sender that fits.
func TestDoctorSendsTestMessage(t *testing.T) {
	t.Parallel()
	relay := startCollectingRelay(t, "127.0.0.1:0")
	config := writeProductionConfig(t, memoryURL, `apps:
  - id: shop
    keys: [{sha256: `+apiKeyDigest("shop-key")+`, scopes: [challenges]}]
    send: {email: ["smtp://`+relay.address+`?from=noreply@shop.example"]}
    pages: {color: "#6d28d9"}
    mails: {logo: "https://cdn.shop.example/logo.png", code_in_subject: true}
`)
	n := &node{t: t}
	run := func(address string) (string, error) {
		out, err := exec.Command("watchword", "doctor", "--config", config, "--send-test", address).CombinedOutput()
		return string(out), err
	}
	if out, err := run("ann@example.com"); err != nil || !strings.Contains(out, `app "shop" email[0] smtp test`) {
		t.Errorf("%v\n%s", err, out)
	}
	mails := relay.received()
	if len(mails) != 1 {
		t.Fatalf("the relay got %q", mails)
	}
	for _, want := range []string{"000000", "ann@example.com", "Subject: =?UTF-8?q?000000_=E2=80=93_Sign_in_to_shop?=", "https://cdn.shop.example/logo.png", ".go{background:#8248de!"} {
		if !strings.Contains(mails[0]+strings.ReplaceAll(mails[0], "=\r\n", ""), want) {
			t.Errorf("the mail lacks %q:\n%s", want, mails[0])
		}
	}
	if out, err := n.doctor(nil, config); err != nil || len(relay.received()) != 1 {
		t.Errorf("a message is sent without --send-test: %v\n%s", err, out)
	}
	for address, problem := range map[string]string{"+14155550123": "no app has a sender for the channel sms", "ann@": "BAD"} {
		if out, err := run(address); err == nil || !strings.Contains(out, problem) {
			t.Errorf("%s: %v\n%s", address, err, out)
		}
	}
}

// A collectingRelay is a real SMTP server.
type collectingRelay struct {
	address string
	stop    func()
	mails   chan string
}

func startCollectingRelay(t testing.TB, address string) *collectingRelay {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	r := &collectingRelay{address: listener.Addr().String(), mails: make(chan string, 100)}
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &collectingSession{r}, nil }))
	server.Domain = "mail.test"
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	r.stop = func() {
		_ = errors.Join(server.Close(), listener.Close())
		<-done
	}
	t.Cleanup(r.stop)
	return r
}

// received returns the mails so far.
func (r *collectingRelay) received() (mails []string) {
	for n := len(r.mails); n > 0; n-- {
		mail := <-r.mails
		mails = append(mails, mail)
		r.mails <- mail
	}
	return mails
}

type collectingSession struct{ relay *collectingRelay }

func (s *collectingSession) Mail(string, *gosmtp.MailOptions) error { return nil }
func (s *collectingSession) Rcpt(string, *gosmtp.RcptOptions) error { return nil }
func (s *collectingSession) Data(r io.Reader) error {
	text, err := io.ReadAll(r)
	s.relay.mails <- string(text)
	return err
}
func (s *collectingSession) Reset()        {}
func (s *collectingSession) Logout() error { return nil }
