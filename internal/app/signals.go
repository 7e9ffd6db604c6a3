package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/smartlb/smartlb/internal/control/config"
)

// Signals make a running process read its configuration file again.
type Signals struct {
	C      <-chan os.Signal     // SIGHUP and SIGUSR1; nil: no signals
	Reload func() (File, error) // reads file, environment and flags again; nil: no file
	HungUp func() bool          // reports whether the terminal that started the process is closed; nil: no terminal
	Watch  string               // a file whose changes are applied without a signal; empty: none
	Taken  Sum                  // of the file that the process started with
}

// File is what a process reads from its configuration file, environment and flags.
type File struct {
	Document config.Document
	Traffic  []byte // the Traffic part as text
	Sum      Sum    // set also if the content is refused
}

// errHungUp ends a process after its terminal was closed.
var errHungUp = errors.New("the terminal was closed")

// followSignals reopens the access log on SIGHUP and SIGUSR1. On SIGHUP it also applies the changes in the file that
// need no restart. With Signals.Watch it applies them after each change of the file. It returns errHungUp if the signal
// means that the terminal was closed.
func (a *App) followSignals(ctx context.Context) error {
	w := newFileWatch(a.o.Signals.Watch, a.o.Signals.Taken)
	var look <-chan time.Time
	if a.o.Signals.Watch != "" {
		tick := time.NewTicker(watchPace)
		defer tick.Stop()
		look = tick.C
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-a.o.Signals.C:
			if s == syscall.SIGHUP && a.o.Signals.HungUp != nil && a.o.Signals.HungUp() {
				return errHungUp
			}
			a.signalled(s, w)
		case s := <-a.delayed.again:
			a.signalled(s, w)
		case <-look:
			if a.delayed.active() || !w.changed() {
				continue
			}
			if f, err := a.o.Signals.Reload(); f.Sum == w.seen { // otherwise the file changed since the look
				w.taken = f.Sum
				a.reload(f, err)
			}
		}
	}
}

// signalled does what a signal asks for. During an upgrade, a reload is delayed.
func (a *App) signalled(s os.Signal, w *fileWatch) {
	a.reopenAccessLog()
	if a.delayed.put(s) || s != syscall.SIGHUP || a.o.Signals.Reload == nil {
		return
	}
	a.o.Manager.Reloading()
	f, err := a.o.Signals.Reload()
	w.taken = f.Sum
	a.reload(f, err)
	a.o.Manager.Ready()
}

func (a *App) reopenAccessLog() {
	if a.data == nil || a.data.accessLog == nil {
		return
	}
	if err := a.data.accessLog.Reopen(""); err != nil {
		a.o.Log.Error("access log not reopened, writing to the old file", "error", err)
		return
	}
	a.o.Log.Info("access log reopened")
}

// reload applies a file that was read again, or logs the error of reading it. It first does everything that can fail, so
// a bad file changes nothing.
func (a *App) reload(f File, err error) {
	applied := ""
	if err == nil {
		applied, err = a.reloadTraffic(f.Traffic)
	}
	a.noteRefused(err)
	if err != nil {
		a.o.Log.Error("configuration file refused, nothing was changed", "error", err)
		return
	}
	if a.collector != nil {
		a.collector.SetLogins(f.Document.Telemetry.ScrapeLogins, f.Document.Telemetry.StreamLogins)
	}
	restart := needRestart(a.o.Document, f.Document)
	a.reloadAccessLog(f.Document.Proxy.AccessLog, &restart)
	a.o.Log.Info("configuration file read again", "listeners_routes_services", applied, "need_restart", strings.Join(restart, ","))
}

// noteRefused puts the result of a reload into the status of the node. Of an error it keeps the first line: the lines
// of mistakes quote values of the file, and more people read the status than the log.
func (a *App) noteRefused(err error) {
	var reason *string
	if err != nil {
		a.reloads.note(err, time.Now())
		first, _, _ := strings.Cut(err.Error(), "\n")
		reason = &first
	}
	a.refused.Store(reason)
	a.statusChanged()
}

// reloadTraffic applies listeners, routes and services and returns a description of the result.
func (a *App) reloadTraffic(traffic []byte) (string, error) {
	if a.control == nil {
		return "this process has no proxy", nil
	}
	taken, err := a.control.Reload(traffic)
	switch {
	case err != nil:
		return "", err
	case !taken:
		return "come from config-updates: use smartlb config apply", nil
	}
	return "applied", nil
}

func (a *App) reloadAccessLog(path string, restart *[]string) {
	if a.data == nil {
		return
	}
	now := a.o.Document.Proxy.AccessLog
	if a.data.accessLog != nil {
		now = a.data.accessLog.path
	}
	switch {
	case path == now:
	case a.data.accessLog == nil || path == "" || path == "-":
		*restart = append(*restart, "proxy.accessLog")
	default:
		if err := a.data.accessLog.Reopen(path); err != nil {
			a.o.Log.Error("access log not reopened, writing to the old file", "error", err)
		}
	}
}

// needRestart names the changed sections that take effect only after a restart.
func needRestart(was, is config.Document) (sections []string) {
	was.Proxy.AccessLog, is.Proxy.AccessLog = "", ""
	for _, t := range []*config.Telemetry{&was.Telemetry, &is.Telemetry} {
		t.ScrapeLogins, t.StreamLogins = nil, nil
	}
	before, after := reflect.ValueOf(was.Node), reflect.ValueOf(is.Node)
	for i := range before.NumField() {
		if !reflect.DeepEqual(before.Field(i).Interface(), after.Field(i).Interface()) {
			sections = append(sections, before.Type().Field(i).Tag.Get("yaml"))
		}
	}
	slices.Sort(sections)
	return sections
}

// reopenWait limits how long a reopen waits for a write in progress, for example to a pipe without a reader.
const reopenWait = 2 * time.Second

// logFile is the file of the access log. One goroutine writes to it. Another goroutine may reopen it after log rotation
// has renamed it.
type logFile struct {
	path string
	swap chan *os.File // holds the file; a user of the file takes it out and puts it back
}

func newLogFile(path string) (*logFile, error) {
	f, err := openLog(path)
	if err != nil {
		return nil, err
	}
	l := &logFile{path: path, swap: make(chan *os.File, 1)}
	l.swap <- f
	return l, nil
}

func openLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, fmt.Errorf("access log: %w", err)
	}
	return f, nil
}

func (l *logFile) Write(p []byte) (int, error) {
	f := <-l.swap
	defer func() { l.swap <- f }()
	return f.Write(p)
}

// Reopen opens path and closes the previous file. If path is empty, it opens the previous path again. If it returns an
// error, the previous file stays open.
func (l *logFile) Reopen(path string) error {
	timer := time.NewTimer(reopenWait)
	defer timer.Stop()
	var old *os.File
	select {
	case old = <-l.swap:
	case <-timer.C:
		return fmt.Errorf("access log: a write to %s takes longer than %s", l.path, reopenWait)
	}
	if path == "" {
		path = l.path
	}
	f, err := openLog(path)
	if err != nil {
		l.swap <- old
		return err
	}
	l.path = path
	l.swap <- f
	return old.Close()
}

func (l *logFile) Close() error {
	f := <-l.swap
	defer func() { l.swap <- f }()
	return f.Close()
}
