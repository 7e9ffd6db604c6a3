package porttest

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// TestOther is another process of TestNoBlockIsGivenTwice: it names the blocks
// that it gets, and holds them until its stdin ends.
func TestOther(t *testing.T) {
	if os.Getenv("PORTTEST_OTHER") == "" {
		return
	}
	for range 40 {
		fmt.Println("block", Block(t, 0, 1, Size-1))
	}
	fmt.Println("done")
	_, _ = os.Stdin.Read(make([]byte, 1))
}

func TestNoBlockIsGivenTwice(t *testing.T) {
	var mu sync.Mutex
	given := map[string]bool{}
	take := func(block string) {
		mu.Lock()
		defer mu.Unlock()
		if given[block] {
			t.Errorf("%s is given twice", block)
		}
		given[block] = true
	}
	var group sync.WaitGroup
	for range 3 {
		other := exec.Command(os.Args[0], "-test.run=^TestOther$")
		other.Env = append(os.Environ(), "PORTTEST_OTHER=yes")
		in, err := other.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := other.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = in.Close(); _ = other.Wait() })
		group.Go(func() {
			for lines := bufio.NewScanner(out); lines.Scan() && lines.Text() != "done"; {
				if block, ok := strings.CutPrefix(lines.Text(), "block "); ok {
					take(block)
				}
			}
		})
	}
	for range 40 {
		take(fmt.Sprint(Block(t, 0, 1, Size-1)))
	}
	group.Wait()
	if len(given) != 4*40 {
		t.Errorf("%d blocks", len(given))
	}
}

func TestWhoIsRefusedStaysRefused(t *testing.T) {
	addr := Refused(t)
	if _, err := net.Dial("tcp", addr); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial gives %v", err)
	}
	if l, err := net.Listen("tcp", addr); err == nil {
		_ = l.Close()
		t.Error("somebody else can listen there")
	}
}
