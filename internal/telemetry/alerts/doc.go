// Package alerts holds the newest state of every alert, as the alerts topic tells it.
package alerts
