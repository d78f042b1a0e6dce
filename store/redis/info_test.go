package redis

import "testing"

func TestCheckInfoRefusesOldVersionsAndEviction(t *testing.T) {
	for info, fine := range map[string]bool{
		"# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n":                      true,
		"redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.1.0\r\nmaxmemory_policy:noeviction\r\n": true,
		"redis_version:10.0.0\r\nmaxmemory_policy:noeviction\r\n":                                              true,
		"redis_version:6.2.14\r\nmaxmemory_policy:noeviction\r\n":                                              false,
		"redis_version:7.0.15\r\nmaxmemory_policy:volatile-ttl\r\n":                                            false,
		"redis_version:7.0.15\r\n":                      false,
		"maxmemory_policy:noeviction\r\n":               false,
		"redis_version:\r\nmaxmemory_policy:noeviction": false,
		"": false,
	} {
		if err := checkInfo(parseInfo(info)); (err == nil) != fine {
			t.Errorf("%q: %v", info, err)
		}
	}
}
