// Package alerts holds the latest state of every alert, as read from the alerts topic.
package alerts
