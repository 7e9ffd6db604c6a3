package e2e

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/smartlb/smartlb/internal/test/leftout"
)

// smallDisk runs in a mount namespace of its own, where the state folder is a
// disk of 16 MB: it starts the stack, fills the disk, writes until the broker
// gives up, asks what is wrong, makes room, and waits for the broker.
const smallDisk = `
set -u
mount -t tmpfs -o size=16m none "$SMARTLB_STATE_DIR" || exit 77
"$SMARTLB_BIN" kafka start "$@" || exit 1
dd if=/dev/zero of="$SMARTLB_STATE_DIR/ballast" bs=64k 2>/dev/null
for i in 1 2 3 4 5 6 7 8; do
	timeout 20 "$SMARTLB_BIN" kafka produce service-metrics --timeout 3s --file "$BIG" >/dev/null 2>&1 || break
done
for i in $(seq 50); do
	full=$("$SMARTLB_BIN" kafka status 2>&1) || case "$full" in *"disk is full"*) break ;; esac
	sleep .2
done
echo "FULL: $full"
rm "$SMARTLB_STATE_DIR/ballast"
for i in $(seq 450); do
	"$SMARTLB_BIN" kafka status >/dev/null 2>&1 && echo "BACK" && break
	sleep .2
done
"$SMARTLB_BIN" kafka stop >/dev/null
`

func TestAFullDiskIsNamedAndRoomMendsIt(t *testing.T) {
	t.Parallel()
	leftout.Unless(t, "a small disk", "unshare")
	s := newJVM(t, "zookeeper")
	big := filepath.Join(t.TempDir(), "big")
	if out, err := exec.Command("dd", "if=/dev/urandom", "of="+big, "bs=1M", "count=3").CombinedOutput(); err != nil {
		t.Fatalf("%v %s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	args := append([]string{"-m", "sh", "-c", smallDisk, "sh", "--no-connect", "--console", "none"}, s.flags...)
	for i, a := range args { // the last word wins
		if a == "--console" && i > 6 {
			args[i+1] = "none"
		}
	}
	cmd := exec.CommandContext(ctx, "unshare", args...)
	cmd.Env = append(s.env, "BIG="+big)
	out, words, code := output(t, cmd)
	if code == 77 || strings.Contains(words, "unshare failed") {
		leftout.For(t, "a small disk", "the right to mount one")
	}
	full, after, _ := strings.Cut(out, "BACK")
	_, full, _ = strings.Cut(full, "FULL: ")
	if !strings.Contains(full, "the disk is full") || !strings.Contains(full, "failed") {
		t.Errorf("the status of a full disk: %s\n%s", full, words)
	}
	if after == "" {
		t.Errorf("with room the broker does not come back: %d %s\n%s", code, out, words)
	}
}
