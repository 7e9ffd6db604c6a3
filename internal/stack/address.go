package stack

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Addresses are the host:port addresses on which the services of a stack listen. Empty: no such service.
type Addresses struct {
	Kafka      string `json:"kafka"`
	Internal   string `json:"internal,omitempty"` // second listener of the broker
	UI         string `json:"ui,omitempty"`
	Zookeeper  string `json:"zookeeper,omitempty"`
	Controller string `json:"controller,omitempty"` // KRaft controller
	Connect    string `json:"connect,omitempty"`
}

// each returns the addresses in the order of their fields.
func (a *Addresses) each() []*string {
	return []*string{&a.Kafka, &a.Internal, &a.UI, &a.Zookeeper, &a.Controller, &a.Connect}
}

// KeepPorts replaces port 0 by the last port on the same host: the caller accepts any port, so the last one is kept.
func (a Addresses) KeepPorts(last Addresses) Addresses {
	for i, at := range a.each() {
		host, port, err := net.SplitHostPort(*at)
		was, _, lastErr := net.SplitHostPort(*last.each()[i])
		if err == nil && lastErr == nil && port == "0" && host == was {
			*at = *last.each()[i]
		}
	}
	return a
}

// PickPorts replaces port 0 by a free port. Another process can take the port before the service does.
func (a Addresses) PickPorts() (Addresses, error) {
	for _, at := range a.each() {
		host, port, err := net.SplitHostPort(*at)
		if *at == "" || err == nil && port != "0" {
			continue
		}
		if err != nil {
			return a, err
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return a, err
		}
		defer l.Close() // at the end of the function, so that all ports differ
		_, port, err = net.SplitHostPort(l.Addr().String())
		if err != nil {
			return a, err
		}
		*at = net.JoinHostPort(host, port)
	}
	return a, nil
}

// onThisMachine returns the address for clients on this machine: localhost if the service listens on loopback or on all
// interfaces.
func onThisMachine(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || host == "localhost" || ip != nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	return net.JoinHostPort(host, port)
}

// dialable converts a listen address to an address for connections.
func dialable(listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// containerName is the broker's host name in containers.
const containerName = "kafka"

// fromContainers returns the advertised address of the internal listener: kafka if that name leads to the listener,
// else localhost, because the broker uses this address too.
func fromContainers(ctx context.Context, listen string) string {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return listen
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupIP(ctx, "ip", containerName)
	if err != nil {
		return onThisMachine(listen)
	}
	for _, ip := range found {
		if !leadsTo(ip, host) {
			return onThisMachine(listen)
		}
	}
	return net.JoinHostPort(containerName, port)
}

// leadsTo reports whether a connection to ip reaches a listener on host.
func leadsTo(ip net.IP, host string) bool {
	listen := net.ParseIP(host)
	switch {
	case host == "localhost", listen != nil && listen.IsLoopback():
		return ip.IsLoopback()
	case host == "", listen != nil && listen.IsUnspecified():
		own, err := net.InterfaceAddrs()
		if err != nil {
			return false
		}
		for _, a := range own {
			if n, ok := a.(*net.IPNet); ok && n.IP.Equal(ip) {
				return true
			}
		}
		return false
	}
	return listen != nil && listen.Equal(ip)
}

// check reports addresses that are not host:port.
func (a Addresses) check() error {
	for name, at := range map[string]string{
		"broker": a.Kafka, "internal listener": a.Internal, "UI": a.UI, "ZooKeeper": a.Zookeeper, "controller": a.Controller, "Connect": a.Connect,
	} {
		if _, _, err := net.SplitHostPort(at); at != "" && err != nil {
			return fmt.Errorf("address of the %s: %w", name, err)
		}
	}
	return nil
}
