// Package screen prevents foreign text from controlling a terminal.
//
// A Screen is between the program and a terminal. It shows each control character as an escape such as \u001b.
// Messages, configurations, reports and errors may contain sequences that clear the screen, rename the window, answer
// in place of the user, or reverse text. Pipes and files get every byte unchanged. The command line writes through a
// Screen, and so does an access log on stdout.
package screen
