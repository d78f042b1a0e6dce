package main

import (
	"time"
)

// A fileConfig is the configuration file, as docs/configuration.md describes it. Flags and environment variables override its
// first part (options.go). settings.go checks it.
type fileConfig struct {
	Listen        string               `yaml:"listen"`
	MetricsListen string               `yaml:"metrics_listen"`
	OTLPEndpoint  string               `yaml:"otlp_endpoint"`
	PublicURL     string               `yaml:"public_url"`
	ReturnURLs    []string             `yaml:"return_urls"`
	Redis         redisConfig          `yaml:"redis"`
	Database      secretURL            `yaml:"database"`
	DataDir       string               `yaml:"data_dir"`
	LogLevel      string               `yaml:"log_level"`
	ShutdownDelay time.Duration        `yaml:"shutdown_delay"`
	Send          map[string][]sendURL `yaml:"send"`
	OutgoingProxy secretURL            `yaml:"outgoing_proxy"`
	DevNoLimits   bool                 `yaml:"dev_no_limits"`

	MaxConnections  int             `yaml:"max_connections"`
	Keyring         []keyConfig     `yaml:"keyring"`
	IdentityKeyFile string          `yaml:"identity_key_file"`
	Signing         []signingConfig `yaml:"signing"`
	TrustedProxies  []string        `yaml:"trusted_proxies"`
	AllowedNetworks []string        `yaml:"allowed_networks"`
	Apps            []appConfig     `yaml:"apps"`
}

// A keyConfig is the id of a key of the keyring, and the file with its secret.
type keyConfig struct {
	ID         string `yaml:"id"`
	SecretFile string `yaml:"secret_file"`
}

// A signingConfig is the id of a key that signs receipts, and its file.
type signingConfig struct {
	KID     string `yaml:"kid"`
	KeyFile string `yaml:"key_file"`
}

// An appConfig configures one app.
type appConfig struct {
	ID              string                    `yaml:"id"`
	Name            string                    `yaml:"name"`
	Keys            []apiKeyConfig            `yaml:"keys"`
	PublicURL       string                    `yaml:"public_url"`
	Origins         []string                  `yaml:"origins"`
	RPID            string                    `yaml:"rp_id"`
	ReturnURLs      []string                  `yaml:"return_urls"`
	Purposes        []purposeConfig           `yaml:"purposes"`
	TrustedDevices  *trustedDevicesConfig     `yaml:"trusted_devices"` // nil: no device is trusted
	Countries       []string                  `yaml:"countries"`
	DefaultRegion   string                    `yaml:"default_region"`
	Blocked         []string                  `yaml:"blocked"`
	BlockedPrefixes []string                  `yaml:"blocked_prefixes"`
	Templates       string                    `yaml:"templates"`
	Send            map[string][]sendURL      `yaml:"send"`
	Failover        map[string]failoverConfig `yaml:"failover"`
	Limits          *[]limitConfig            `yaml:"limits"` // nil: the defaults
	PrefixBreaker   breakerConfig             `yaml:"prefix_breaker"`
	Codes           codesConfig               `yaml:"codes"`
	Links           linksConfig               `yaml:"links"`
	Pages           pagesConfig               `yaml:"pages"`
	Mails           mailsConfig               `yaml:"mails"`
	Events          []eventsConfig            `yaml:"events"`
}

// A purposeConfig is a purpose that may be asked for. The file has its name, or {name: ..., lifetime: ...}.
type purposeConfig struct {
	Name     string        `yaml:"name"`
	Lifetime time.Duration `yaml:"lifetime"` // of challenges; zero: that of codes.lifetime
}

func (p *purposeConfig) setText(text string) { p.Name = text }

// A trustedDevicesConfig turns trusted devices on.
type trustedDevicesConfig struct {
	Purposes []string      `yaml:"purposes"` // that a trusted device answers by itself
	Lifetime time.Duration `yaml:"lifetime"`
}

// An apiKeyConfig is the SHA-256 digest of one API key, and the key's scopes.
type apiKeyConfig struct {
	SHA256 string   `yaml:"sha256"`
	Scopes []string `yaml:"scopes"`
}

// A failoverConfig makes the messages of a channel move to the next sender after a negative delivery report, or after none.
type failoverConfig struct {
	NoReportAfter time.Duration `yaml:"no_report_after"`
}

// A limitConfig is one limit of starts.
type limitConfig struct {
	Name     string        `yaml:"name"`
	Limit    int           `yaml:"limit"`
	Window   time.Duration `yaml:"window"`
	By       string        `yaml:"by"`
	Channels []string      `yaml:"channels"`
}

// A breakerConfig configures the prefix breaker, which refuses a range of phone numbers if too few of its challenges are verified.
type breakerConfig struct {
	Window  time.Duration `yaml:"window"`
	Sent    int           `yaml:"sent"`
	Percent int           `yaml:"percent"`
	Pause   time.Duration `yaml:"pause"`
	Shadow  bool          `yaml:"shadow"`
}

// A codesConfig configures codes and challenges. A zero value means the default of docs/configuration.md.
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

// A linksConfig configures how links are confirmed, and whether their messages also have a code.
type linksConfig struct {
	Confirm string `yaml:"confirm"`
	NoCode  bool   `yaml:"no_code"`
}

// A pagesConfig configures the appearance of the hosted pages.
type pagesConfig struct {
	Color     string `yaml:"color"`
	ColorDark string `yaml:"color_dark"`
	Logo      string `yaml:"logo"` // the path of a file
	LogoDark  string `yaml:"logo_dark"`
	URL       string `yaml:"url"`
	Texts     string `yaml:"texts"` // the path of a folder
}

// A mailsConfig configures the appearance of mails. Their colors are those of the hosted pages.
type mailsConfig struct {
	Logo          string `yaml:"logo"` // the URL of an image
	CodeInSubject bool   `yaml:"code_in_subject"`
}

// A testConfig is a test identity: an address with a fixed code, to which no message is sent.
type testConfig struct {
	Address  string    `yaml:"address"`
	Code     string    `yaml:"code"`
	Purposes []string  `yaml:"purposes"`
	Until    time.Time `yaml:"until"`
}

// An eventsConfig is one event endpoint.
type eventsConfig struct {
	URL     string   `yaml:"url"`
	URLFile string   `yaml:"url_file"`
	Types   []string `yaml:"types"`
}

// A secretURL is a URL that may contain a password. The file has the URL itself, or {url_file: path}.
type secretURL struct {
	URL  string `yaml:"url"`
	File string `yaml:"url_file"`

	folder string // from which a relative path in the URL starts; empty: the working directory
}

func (s *secretURL) setText(text string) { s.URL = text }

// A sendURL is the URL of a sender.
type sendURL = secretURL

// A redisConfig is the URL of Redis, and how many replicas must confirm a write.
type redisConfig struct {
	secretURL
	WaitReplicas int `yaml:"wait_replicas"`
}
