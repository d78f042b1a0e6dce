package delivery

import (
	"container/list"
	"time"

	"github.com/watchword-auth/watchword"
)

// readyMessages are messages that are due, in a list for each channel. The zero value is empty.
type readyMessages struct {
	count    int
	channels []*readyChannel // few: the channels of an app
	next     int             // position of the channel whose turn it is
}

// A readyChannel holds the messages of one channel, the oldest first.
type readyChannel struct {
	channel  string
	messages list.List // of readyMessage
}

type readyMessage struct {
	out   watchword.Outgoing
	since time.Time // when it became due
}

// add adds a message that has become due.
func (r *readyMessages) add(o watchword.Outgoing, now time.Time) {
	r.count++
	r.channelOf(o).messages.PushBack(readyMessage{o, now})
}

func (r *readyMessages) channelOf(o watchword.Outgoing) *readyChannel {
	for _, c := range r.channels {
		if c.channel == o.Channel {
			return c
		}
	}
	c := &readyChannel{channel: o.Channel}
	r.channels = append(r.channels, c)
	return c
}

// take removes and returns the oldest message of the next channel that has one. There must be one.
func (r *readyMessages) take() watchword.Outgoing {
	for r.channels[r.next].messages.Len() == 0 {
		r.next = (r.next + 1) % len(r.channels)
	}
	c := r.channels[r.next]
	r.next = (r.next + 1) % len(r.channels)
	r.count--
	return c.messages.Remove(c.messages.Front()).(readyMessage).out
}

// oldest returns since when the oldest message has been due; zero if there is none.
func (r *readyMessages) oldest() (oldest time.Time) {
	for _, c := range r.channels {
		if c.messages.Len() == 0 {
			continue
		}
		if since := c.messages.Front().Value.(readyMessage).since; oldest.IsZero() || since.Before(oldest) {
			oldest = since
		}
	}
	return oldest
}
