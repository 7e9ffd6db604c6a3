// Package receiver sends messages about alerts to the systems of others: an Alertmanager, a webhook, Slack, a mail
// server. Each type is one file that makes a payload and judges the answer.
//
// A receiver may be down, slow or lying. So each attempt has a timeout, answers are read up to a limit, redirects are not
// followed, and errors contain neither secrets nor control characters. The package does not retry; an [Error] says
// whether that is of use.
package receiver
