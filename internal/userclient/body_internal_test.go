package userclient

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
)

// What was lent comes back, also from a reader that the transport got for a repetition and
// forgot, and from one that is being read: the race detector sees who reads the octets late.
func TestLentComesBack(t *testing.T) {
	l := &lent{data: make([]byte, 1<<20)}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "https://a.example/", nil)
	if err != nil {
		t.Fatal(err)
	}
	l.attach(req)
	if _, err := req.GetBody(); err != nil { // and nobody closes it
		t.Fatal(err)
	}
	begun := make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() {
		buf := make([]byte, 100)
		for i := 0; ; i++ {
			if i == 10 {
				close(begun)
			}
			if _, err := req.Body.Read(buf); err != nil {
				if i < 10 || !errors.Is(err, errTakenBack) && err != io.EOF {
					t.Errorf("after %d reads: %v", i, err)
				}
				return
			}
		}
	})
	<-begun
	l.takeBack()
	clear(l.data)
	reading.Wait()
	if n, err := req.Body.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%d octets were read afterwards", n)
	}
}
