package memory

import "container/heap"

// An expiring item has a removal time, in nanoseconds since 1970, and stores its index in a queue.
type expiring interface {
	removalTime() int64
	heapPosition() *int32
}

// A queue orders items by their removal time. Adding, moving and removing an item takes O(log n).
type queue[T expiring] struct{ items heapItems[T] }

func (q *queue[T]) add(x T)    { heap.Push(&q.items, x) }
func (q *queue[T]) fix(x T)    { heap.Fix(&q.items, int(*x.heapPosition())) }
func (q *queue[T]) remove(x T) { heap.Remove(&q.items, int(*x.heapPosition())) }

// popDue removes and returns the first item whose removal time has come.
func (q *queue[T]) popDue(now int64) (x T, ok bool) {
	if len(q.items) == 0 || q.items[0].removalTime() > now {
		return x, false
	}
	return heap.Pop(&q.items).(T), true
}

// heapItems implements heap.Interface.
type heapItems[T expiring] []T

// Len is heap.Interface's: the number of items.
func (h heapItems[T]) Len() int { return len(h) }

// Less is heap.Interface's: items that are removed earlier come first.
func (h heapItems[T]) Less(i, j int) bool { return h[i].removalTime() < h[j].removalTime() }

// Swap is heap.Interface's; each item keeps its position.
func (h heapItems[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	*h[i].heapPosition(), *h[j].heapPosition() = int32(i), int32(j)
}

// Push is heap.Interface's: it appends an item.
func (h *heapItems[T]) Push(x any) {
	item := x.(T)
	*item.heapPosition() = int32(len(*h))
	*h = append(*h, item)
}

// Pop is heap.Interface's: it removes the last item.
func (h *heapItems[T]) Pop() any {
	last := len(*h) - 1
	item := (*h)[last]
	var none T
	(*h)[last] = none
	*h = (*h)[:last]
	return item
}
