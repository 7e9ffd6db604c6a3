// Package hostile attacks a real smartlb process, with a limit on its memory, on
// each surface that takes input of others: the API, every topic, configuration
// files, and the files of the console's certificate. A victim sends requests
// through the proxy meanwhile, and none of them may fail. Afterwards the process
// starts again on what the attack left behind.
//
// What each package does against such input is in its own tests; docs/security.md
// lists them. This test shows that they hold together.
package hostile
