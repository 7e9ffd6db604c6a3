// Package inflate decompresses batches of records within bounds of memory.
// Package kafka reads with it, and package broker looks into batches with it.
package inflate
