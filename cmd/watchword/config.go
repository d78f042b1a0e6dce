package main

import (
	"time"
)

// A fileConfig is the configuration file, docs/configuration.md in Go. Flags and environment variables are laid over its
// first part (options.go); what it means, and what is wrong with it, settings.go says.
type fileConfig struct {
	Listen        string               `yaml:"listen"`
	MetricsListen string               `yaml:"metrics_listen"`
	PublicURL     string               `yaml:"public_url"`
	ReturnURLs    []string             `yaml:"return_urls"`
	Redis         redisConfig          `yaml:"redis"`
	Database      secretURL            `yaml:"database"`
	DataDir       string               `yaml:"data_dir"`
	LogLevel      string               `yaml:"log_level"`
	Send          map[string][]sendURL `yaml:"send"`
	DevNoLimits   bool                 `yaml:"dev_no_limits"`

	Keyring         []keyConfig     `yaml:"keyring"`
	IdentityKeyFile string          `yaml:"identity_key_file"`
	Signing         []signingConfig `yaml:"signing"`
	TrustedProxies  []string        `yaml:"trusted_proxies"`
	AllowedNetworks []string        `yaml:"allowed_networks"`
	Apps            []appConfig     `yaml:"apps"`
}

// A keyConfig names one secret of the keyring.
type keyConfig struct {
	ID         string `yaml:"id"`
	SecretFile string `yaml:"secret_file"`
}

// A signingConfig names one key that signs receipts.
type signingConfig struct {
	KID     string `yaml:"kid"`
	KeyFile string `yaml:"key_file"`
}

// An appConfig is one tenant.
type appConfig struct {
	ID              string               `yaml:"id"`
	Name            string               `yaml:"name"`
	Keys            []apiKeyConfig       `yaml:"keys"`
	PublicURL       string               `yaml:"public_url"`
	Origins         []string             `yaml:"origins"`
	RPID            string               `yaml:"rp_id"`
	ReturnURLs      []string             `yaml:"return_urls"`
	Purposes        []string             `yaml:"purposes"`
	Countries       []string             `yaml:"countries"`
	DefaultRegion   string               `yaml:"default_region"`
	Blocked         []string             `yaml:"blocked"`
	BlockedPrefixes []string             `yaml:"blocked_prefixes"`
	Templates       string               `yaml:"templates"`
	Send            map[string][]sendURL `yaml:"send"`
	Limits          *[]limitConfig       `yaml:"limits"` // nil: the defaults
	PrefixBreaker   breakerConfig        `yaml:"prefix_breaker"`
	Codes           codesConfig          `yaml:"codes"`
	Links           linksConfig          `yaml:"links"`
	Pages           pagesConfig          `yaml:"pages"`
	Events          []eventsConfig       `yaml:"events"`
}

// An apiKeyConfig is the digest of one API key and what it may be used for.
type apiKeyConfig struct {
	SHA256 string   `yaml:"sha256"`
	Scopes []string `yaml:"scopes"`
}

// A limitConfig is one rule for starts.
type limitConfig struct {
	Name     string        `yaml:"name"`
	Limit    int           `yaml:"limit"`
	Window   time.Duration `yaml:"window"`
	By       string        `yaml:"by"`
	Channels []string      `yaml:"channels"`
}

// A breakerConfig says when a range of numbers is refused because too few of its challenges are verified.
type breakerConfig struct {
	Window  time.Duration `yaml:"window"`
	Sent    int           `yaml:"sent"`
	Percent int           `yaml:"percent"`
	Pause   time.Duration `yaml:"pause"`
	Shadow  bool          `yaml:"shadow"`
}

// A codesConfig says what codes and challenges are like; zero values are the defaults that docs/configuration.md names.
type codesConfig struct {
	Length           int           `yaml:"length"`
	Letters          bool          `yaml:"letters"`
	Lifetime         time.Duration `yaml:"lifetime"`
	Tries            int           `yaml:"tries"`
	Sends            int           `yaml:"sends"`
	Cooldown         time.Duration `yaml:"cooldown"`
	NewOnResend      bool          `yaml:"new_on_resend"`
	ReceiptLifetime  time.Duration `yaml:"receipt_lifetime"`
	SMSRetrieverHash string        `yaml:"sms_retriever_hash"`
	Test             []testConfig  `yaml:"test"`
}

// A linksConfig says how links are confirmed, and whether their messages carry a code too.
type linksConfig struct {
	Confirm string `yaml:"confirm"`
	NoCode  bool   `yaml:"no_code"`
}

// A pagesConfig says how the hosted pages look.
type pagesConfig struct {
	Color string `yaml:"color"`
	Logo  string `yaml:"logo"` // a file
}

// A testConfig is a test identity: an address with a fixed code, to which nothing is sent.
type testConfig struct {
	Address  string    `yaml:"address"`
	Code     string    `yaml:"code"`
	Purposes []string  `yaml:"purposes"`
	Until    time.Time `yaml:"until"`
}

// An eventsConfig is one endpoint that wants events.
type eventsConfig struct {
	URL     string   `yaml:"url"`
	URLFile string   `yaml:"url_file"`
	Types   []string `yaml:"types"`
}

// A secretURL is a URL that may hold a password, written as it is or as {url_file: path}.
type secretURL struct {
	URL  string `yaml:"url"`
	File string `yaml:"url_file"`

	folder string // that a relative path in the URL starts from; empty: the working directory
}

func (s *secretURL) setText(text string) { s.URL = text }

// A sendURL is the URL of a sender.
type sendURL = secretURL

// A redisConfig is a Redis URL and how many replicas must have a write before it counts.
type redisConfig struct {
	secretURL
	WaitReplicas int `yaml:"wait_replicas"`
}
