package storetest_test

import (
	"sync"
	"testing"
	"time"

	"github.com/videoactivmail/vam/internal/storetest"
)

// The model passes the suite that it is a part of.
func TestMemoryQueue(t *testing.T) {
	var mu sync.Mutex
	places := map[string]*storetest.MemoryQueue{}
	storetest.Queue(t, func(_ testing.TB, place string, _ func() time.Time) storetest.Stores {
		mu.Lock()
		defer mu.Unlock()
		if places[place] == nil {
			places[place] = storetest.NewMemoryQueue()
		}
		return storetest.Stores{Queue: places[place], Close: func() error { return nil }}
	})
}
