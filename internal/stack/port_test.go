package stack

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func TestAPortInUseNamesItsOwner(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = net.Listen("tcp", ln.Addr().String())
	got := InUse(err, "--listen")
	if !errors.Is(got, syscall.EADDRINUSE) || !strings.HasPrefix(got.Error(), ln.Addr().String()+" is in use") || !strings.Contains(got.Error(), "--listen chooses another") {
		t.Errorf("got %v", got)
	}
	if runtime.GOOS == "linux" && !strings.Contains(got.Error(), "by process "+strconv.Itoa(os.Getpid())+" (") {
		t.Errorf("the owner, %d, is not named: %v", os.Getpid(), got)
	}
	other := errors.New("something else")
	if InUse(other, "--listen") != other {
		t.Error("another error is changed")
	}
}
