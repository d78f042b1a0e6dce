package memory

import "container/heap"

// An expiring thing knows when its time is over and remembers its place in a queue.
type expiring interface {
	until() int64
	position() *int32
}

// A queue holds things in the order in which their time is over. Adding, moving and removing cost O(log n).
type queue[T expiring] struct{ items items[T] }

func (q *queue[T]) add(x T)    { heap.Push(&q.items, x) }
func (q *queue[T]) moved(x T)  { heap.Fix(&q.items, int(*x.position())) }
func (q *queue[T]) remove(x T) { heap.Remove(&q.items, int(*x.position())) }

// due takes out the next thing whose time is over.
func (q *queue[T]) due(now int64) (x T, ok bool) {
	if len(q.items) == 0 || q.items[0].until() > now {
		return x, false
	}
	return heap.Pop(&q.items).(T), true
}

// items is the heap under a queue (container/heap).
type items[T expiring] []T

func (h items[T]) Len() int           { return len(h) }
func (h items[T]) Less(i, j int) bool { return h[i].until() < h[j].until() }

func (h items[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	*h[i].position(), *h[j].position() = int32(i), int32(j)
}

func (h *items[T]) Push(x any) {
	item := x.(T)
	*item.position() = int32(len(*h))
	*h = append(*h, item)
}

func (h *items[T]) Pop() any {
	last := len(*h) - 1
	item := (*h)[last]
	var none T
	(*h)[last] = none
	*h = (*h)[:last]
	return item
}
