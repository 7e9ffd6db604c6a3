// Package capacity estimates how many requests per second an instance can carry, and what a service can carry with its
// instances: headroom, the instances and zones whose loss it survives, and the number of instances for a target.
//
// An Estimator per instance takes a Window of measurements every few seconds and keeps them in bins by rate. Its
// Estimate says which resource binds, and how far it may be trusted. Sum joins the estimates of a service.
//
// What is unknown stays unknown: an instance without an estimate adds nothing to the capacity of its service, and the
// service says that its capacity is a lower bound.
//
// The package is pure: time is an argument. analysis estimates; api sums.
package capacity
