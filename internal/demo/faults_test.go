package demo

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// An instance that is broken by one and healed by another at once is what it
// was told last, and so it is remembered.
func TestFaultsAreRememberedAsTheyWereTold(t *testing.T) {
	var mu sync.Mutex
	broken := false
	healed, told := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		broken = r.Method == http.MethodPut
		mu.Unlock()
		if r.Method == http.MethodPut {
			close(told)
			select { // its answer comes after the other's, where there is another
			case <-healed:
			case <-time.After(200 * time.Millisecond):
			}
		}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer server.Close()
	f := NewFaults([]Group{{Instances: []Instance{{ID: "i", Addr: strings.TrimPrefix(server.URL, "http://")}}}})
	var both sync.WaitGroup
	both.Go(func() {
		if err := f.Set(t.Context(), "i", &Fault{ErrorRate: 1}); err != nil {
			t.Error(err)
		}
	})
	<-told
	both.Go(func() {
		if err := f.Set(t.Context(), "i", nil); err != nil {
			t.Error(err)
		}
		close(healed)
	})
	both.Wait()
	mu.Lock()
	defer mu.Unlock()
	if _, remembered := f.All()["i"]; remembered != broken {
		t.Errorf("broken %v, remembered as broken %v", broken, remembered)
	}
}
