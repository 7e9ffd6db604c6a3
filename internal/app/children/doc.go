// Package children runs a node together with its child processes: the embedded broker, the console, and the instances and
// the load of the demo. `smartlb up` is its only caller. [Run] starts the broker first and stops it last; a child ends
// when this process ends, however it ends.
package children
