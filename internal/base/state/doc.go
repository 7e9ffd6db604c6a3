// Package state stores a format version next to the data of smartlb, so that a program never misreads data of a newer
// program. Call Open before reading anything in a folder, while holding the folder's lock. Lock is the lock for
// processes that wait for each other.
package state
