// Package screen keeps what comes from elsewhere from steering a terminal.
//
// A Screen stands between the program and a terminal. It shows each control
// character as an escape such as \u001b: messages, configurations, reports and
// errors may hold sequences that clear the screen, rename the window, answer
// in place of the user, or turn text around. Pipes and files get every byte as
// it is. The command line writes through it; so does an access log on stdout.
package screen
