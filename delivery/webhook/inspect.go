package webhook

import (
	"context"
	"time"

	"github.com/watchword-auth/watchword"
)

// An EndpointInfo describes an endpoint for operators.
type EndpointInfo struct {
	Number int    // in the configuration, from 0
	Host   string // of its URL, whose path may be a secret
	ID     string // in the queue; empty without a Queue
}

// Endpoints describes the endpoints.
func (d *Dispatcher) Endpoints() (infos []EndpointInfo) {
	for i, e := range *d.endpoints.Load() {
		info := EndpointInfo{Number: i, Host: e.target.Host}
		if e.queue != nil {
			info.ID = e.queue.id
		}
		infos = append(infos, info)
	}
	return infos
}

// A QueuedInfo describes an event in the queue of an endpoint for operators.
type QueuedInfo struct {
	ID   string
	Type string
	At   time.Time
}

// DescribeQueued decrypts what identifies an event in the queue of an endpoint. It returns an error for what was not queued by a
// Dispatcher.
func DescribeQueued(sealer *watchword.EventSealer, endpoint string, q watchword.QueuedEvent) (QueuedInfo, error) {
	ev, err := openEvent(sealer, endpoint, q.Sealed)
	return QueuedInfo{ev.ID, ev.Type, ev.At}, err
}

// TurnedOff returns which endpoints have answered 410, in the order of Endpoints. Without a Queue none has. The error is that of the
// Queue's Switch.
func (d *Dispatcher) TurnedOff(ctx context.Context) ([]bool, error) {
	endpoints := *d.endpoints.Load()
	off := make([]bool, len(endpoints))
	for i, e := range endpoints {
		if e.queue == nil {
			continue
		}
		var err error
		if off[i], err = e.queue.isTurnedOff(ctx); err != nil {
			return nil, err
		}
	}
	return off, nil
}
