// Package soak runs two smartlb nodes under steady load while an operator changes everything around them. It reloads
// the configuration, kills instances with SIGKILL and starts them again, and replaces the binary of one node with
// SIGUSR2. The other node is never replaced, so growth of its memory shows over the whole time.
//
//	go test ./test/soak                   2 minutes, with short intervals and little load, as CI runs it
//	go test ./test/soak -for 1h -timeout 2h -v
//
// No request may fail, except requests in flight on a killed instance that cannot be repeated: a POST, and a response
// of which the client already has a part. After a kill and before the instance is out of rotation, single requests may
// be above the retry budget; at most five for each kill. No POST may reach two instances. Descriptors and goroutines must return to
// their number before the soak, and memory must not grow.
package soak
