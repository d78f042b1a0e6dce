package redis_test

import (
	"context"
	"log"

	"github.com/watchword-auth/watchword/store/redis"
)

// Open the client once, check the server's policy at start, and use the store for all engines.
func Example() {
	client, err := redis.Open("redis+cluster://:password@redis-1.internal:6379?addr=redis-2.internal:6379")
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	store := redis.New(client, redis.Config{WaitReplicas: 1})
	if err := store.CheckPolicy(context.Background()); err != nil {
		log.Fatal(err)
	}
	// watchword.New(watchword.Config{Store: store, ...})
}
