// Package inflate decompresses batches of records within memory limits. Package kafka reads records with it; package
// broker reads batches with it.
package inflate
