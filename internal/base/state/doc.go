// Package state keeps a format version beside what smartlb stores, so that a
// program never misreads what a newer one has written. Whoever opens a folder
// calls Open before anything in it is read, with the folder's lock held. Lock is
// the lock of those who wait for one another.
package state
