package redis

import (
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/watchword-auth/watchword/internal/hosts"
)

// Sizes of buffers of connections, in bytes. Entries are smaller than a KiB.
const (
	bufferSize         = 8 << 10
	pipelineBufferSize = 32 << 10 // of connections for commands that are sent together
)

// pipelineConnections is how many of those a client has: two for each user of the client (internal/script). They are opened when
// commands are first sent together.
const pipelineConnections = 4

var errInvalidURL = errors.New("redis: the URL must be redis://, rediss://, redis+sentinel:// or redis+cluster:// with [user:password@]host:port and options that go-redis knows")

// Open returns a client for a URL. It connects when it is used.
//
//	redis://user:password@host:6379/0                                         one server
//	redis+cluster://user:password@host:7000?addr=host2:7000&addr=host3:7000   a Cluster
//	redis+sentinel://user:password@host:26379?master_name=main&addr=host2:26379
//	                                                                          the master that Sentinel names
//
// With rediss instead of redis, connections use TLS. User and password are those of the data servers; the options
// sentinel_username and sentinel_password are Sentinel's. Other options are those of go-redis' ParseURL, ParseClusterURL and
// ParseFailoverURL.
//
// Unless the URL sets timeouts, calls to an unavailable or hanging server fail within a second. The client repeats no command
// and observes contexts. Errors do not contain the URL, which may contain a password.
func Open(rawURL string) (redis.UniversalClient, error) {
	scheme, rest, _ := strings.Cut(rawURL, ":")
	scheme, kind, _ := strings.Cut(scheme, "+")
	u, err := url.Parse(scheme + ":" + rest)
	if err != nil || scheme != "redis" && scheme != "rediss" || u.Host == "" {
		return nil, errInvalidURL
	}
	if err := checkAddresses(u); err != nil {
		return nil, err
	}
	switch kind {
	case "":
		return openSingle(u)
	case "cluster":
		return openCluster(u)
	case "sentinel":
		return openSentinel(u)
	}
	return nil, errInvalidURL
}

// checkAddresses checks the URL's host and the additional hosts of a Cluster or Sentinel.
func checkAddresses(u *url.URL) error {
	if err := hosts.CheckTargetURL(u); err != nil {
		return fmt.Errorf("redis: %w", err)
	}
	for _, addr := range u.Query()["addr"] {
		if err := hosts.CheckHostPort(addr); err != nil {
			return fmt.Errorf("redis: an addr of the URL %w", err)
		}
	}
	return nil
}

func openSingle(u *url.URL) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(withDefaults(u))
	if err != nil {
		return nil, errInvalidURL
	}
	o.ContextTimeoutEnabled, o.DisableIdentity, o.MaintNotificationsConfig = true, true, disableNotifications()
	o.ReadBufferSize, o.WriteBufferSize, o.DialerRetries = bufferSize, bufferSize, max(o.DialerRetries, 1)
	o.PipelineReadBufferSize, o.PipelineWriteBufferSize, o.PipelinePoolSize = pipelineBufferSize, pipelineBufferSize, pipelineConnections
	return redis.NewClient(o), nil
}

func openCluster(u *url.URL) (redis.UniversalClient, error) {
	if strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("redis: a Cluster has no numbered databases: leave the path out")
	}
	o, err := redis.ParseClusterURL(withDefaults(u))
	if err != nil || o.ReadOnly || o.RouteByLatency || o.RouteRandomly { // replicas may be stale
		return nil, errInvalidURL
	}
	o.ContextTimeoutEnabled, o.DisableIdentity, o.MaintNotificationsConfig = true, true, disableNotifications()
	o.ReadBufferSize, o.WriteBufferSize, o.DialerRetries = bufferSize, bufferSize, max(o.DialerRetries, 1)
	o.PipelineReadBufferSize, o.PipelineWriteBufferSize, o.PipelinePoolSize = pipelineBufferSize, pipelineBufferSize, pipelineConnections
	o.DisableRoutingPolicies = true // they ask servers about each command; our commands name their keys
	return redis.NewClusterClient(o), nil
}

func openSentinel(u *url.URL) (redis.UniversalClient, error) {
	query := u.Query()
	user, password := query.Get("sentinel_username"), query.Get("sentinel_password")
	query.Del("sentinel_username")
	query.Del("sentinel_password")
	u.RawQuery = query.Encode()
	if query.Get("master_name") == "" {
		return nil, errors.New("redis: the option master_name is missing, the name that Sentinel has for the master")
	}
	o, err := redis.ParseFailoverURL(withDefaults(u))
	if err != nil || o.ReplicaOnly || o.RouteByLatency || o.RouteRandomly {
		return nil, errInvalidURL
	}
	o.Username, o.Password = o.SentinelUsername, o.SentinelPassword // go-redis stores the URL's credentials there
	o.SentinelUsername, o.SentinelPassword = user, password
	o.ContextTimeoutEnabled, o.DisableIdentity = true, true
	o.ReadBufferSize, o.WriteBufferSize, o.DialerRetries = bufferSize, bufferSize, max(o.DialerRetries, 1)
	o.PipelineReadBufferSize, o.PipelineWriteBufferSize, o.PipelinePoolSize = pipelineBufferSize, pipelineBufferSize, pipelineConnections
	return redis.NewFailoverClient(o), nil
}

// withDefaults returns the URL with defaults for missing options, and without repeats.
func withDefaults(u *url.URL) string {
	query := u.Query()
	for option, value := range map[string]string{
		"dial_timeout":  "500ms",
		"read_timeout":  "700ms", // a script takes microseconds
		"write_timeout": "700ms",
		"pool_timeout":  "500ms", // for a connection, while all are in use
		"pool_size":     strconv.Itoa(max(64, 16*runtime.GOMAXPROCS(0))),
		"protocol":      "2", // RESP2: with RESP3 go-redis looks for push messages before each command
	} {
		if !query.Has(option) {
			query.Set(option, value)
		}
	}
	query.Set("max_retries", "-1")
	full := *u
	full.RawQuery = query.Encode()
	return full.String()
}

// disableNotifications saves a command on each new connection.
func disableNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}
