package leaktest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { Main(m) }

// One that ends after longer than goleak waits by itself is none that stays.
func TestAGoroutineThatIsAboutToEndDoesNotStay(t *testing.T) {
	before := goleak.IgnoreCurrent()
	go time.Sleep(4 * time.Second)
	if goleak.Find(before) == nil {
		t.Fatal("it is not seen at all")
	}
	None(t, before)
}
