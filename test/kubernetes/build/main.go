// Command build builds kube-apiserver and the command helm of this module into the user's cache folder and prints the path of
// their folder. That takes some minutes, once for each version. Of two that run at the same time, one waits for the other.
//
//	go run -C test/kubernetes ./build
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
)

func main() {
	dir, err := build()
	if err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	fmt.Println(dir)
}

func build() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	all := filepath.Join(cache, "smartlb-test", "kubernetes")
	if err := os.MkdirAll(all, 0o755); err != nil {
		return "", err
	}
	lock, err := os.Create(filepath.Join(all, "lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	version, err := version()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(all, version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	old, err := filepath.Glob(filepath.Join(all, "*-*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		if err := os.RemoveAll(dir); err != nil {
			return "", err
		}
	}
	unfinished := filepath.Join(all, "unfinished-"+version)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", unfinished+"/", "./helm", "./apiserver")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", err
	}
	return dir, os.Rename(unfinished, dir)
}

// version returns a name for what the programs are made of.
func version() (string, error) {
	digest := sha256.New()
	for _, name := range []string{"go.mod", "go.sum", "helm/main.go", "apiserver/main.go"} {
		src, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		digest.Write(src)
	}
	return runtime.Version() + "-" + hex.EncodeToString(digest.Sum(nil)[:8]), nil
}
