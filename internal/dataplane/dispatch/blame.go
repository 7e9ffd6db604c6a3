package dispatch

import "strings"

// Party names the side that caused the end of an exchange. Only causes charged to the instance count for ejection,
// error rate and latency.
type Party uint8

// The parties.
const (
	Nobody   Party = iota // no known failure
	Client                // the client left, was slow, or sent a bad body
	Proxy                 // this process: its descriptors, memory, ports, name server, or its stop
	Instance              // the instance refused, broke off, was late, or answered with bytes that are not HTTP
)

var partyWords = [...]string{"nobody", "client", "proxy", "instance"}

func (p Party) String() string { return partyWords[p] }

// Ending is one row of the blame table: the consequences of a cause.
type Ending struct {
	Status   int    // reply to the client; 0 after the response head, because the status was already sent
	Code     string // word in the reply and in the field why of the access log
	Charged  Party
	sentence string // of the reply; %s is the instance, %f the failure
}

// text returns the sentence of the reply.
func (e Ending) text(instance string, f Failure) string {
	return strings.NewReplacer("%s", instance, "%f", f.String()).Replace(e.sentence)
}

// Blame returns the row of the table for a cause. relayed says that the response head was already passed to the client.
//
// A cause that cannot occur at that point gives the zero Ending.
//
// Two cases are not in the table because they are not failures. A response with a status of 500 and above is passed on
// and charged to the instance. A response with status 429 is passed on and counts as an error, without a step towards
// ejection.
func Blame(f Failure, relayed bool) Ending {
	if relayed {
		return afterHead[f]
	}
	return beforeHead[f]
}

// beforeHead applies before a response head was passed to the client: the proxy sends its own reply.
var beforeHead = [NumFailures]Ending{
	ConnectRefused: {502, CodeUpstreamConnect, Instance, "no connection to %s (%f)"},
	ConnectTimeout: {502, CodeUpstreamConnect, Instance, "no connection to %s (%f)"},
	ConnectFailed:  {502, CodeUpstreamConnect, Instance, "no connection to %s (%f)"},
	Reset:          {502, CodeUpstreamReset, Instance, "%s closed the connection before it answered"},
	EOF:            {502, CodeUpstreamReset, Instance, "%s closed the connection before it answered"},
	Timeout:        {504, CodeUpstreamTimeout, Instance, "%s did not answer in time"},
	BadResponse:    {502, CodeUpstreamBad, Instance, "%s answered with bytes that are not valid HTTP"},
	ClientGone:     {499, CodeClientGone, Client, "the client left before the response"},
	ClientSlow:     {408, CodeClientSlow, Client, "the request body did not arrive in time"},
	ClientBad:      {400, CodeBadRequest, Client, "malformed request body"},
	ClientLarge:    {413, CodeBadRequest, Client, "body too large"},
	InstanceFull:   {503, CodeInstanceFull, Nobody, "%s has as many connections as its service allows"},
	Exhausted:      {503, CodeExhausted, Proxy, "this proxy lacks file descriptors, memory, local ports or an answer of its name server"},
	Stopped:        {503, CodeStopped, Proxy, "this proxy is stopping"},
}

// afterHead applies while the response is passed on. The instance is charged if its failure left the body unfinished.
var afterHead = [NumFailures]Ending{
	Reset:        {0, CodeBodyBroken, Instance, ""},
	EOF:          {0, CodeBodyBroken, Instance, ""},
	Timeout:      {0, CodeBodyBroken, Instance, ""},
	BadResponse:  {0, CodeBodyBroken, Instance, ""},
	ClientGone:   {0, CodeClientGone, Client, ""},
	ClientSlow:   {0, CodeClientSlow, Client, ""},
	ClientBad:    {0, CodeBadRequest, Client, ""},
	ClientLarge:  {0, CodeBadRequest, Client, ""},
	StreamIdle:   {0, CodeStreamIdle, Nobody, ""},
	RouteTimeout: {0, CodeRouteTimeout, Nobody, ""},
	Stopped:      {0, CodeStopped, Proxy, ""},
	GRPCStatus:   {0, CodeGRPCStatus, Instance, ""},
}
