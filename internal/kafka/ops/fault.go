package ops

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Fault says what an error of this package means to whoever asked.
type Fault int

// Faults.
const (
	FaultMistake     Fault = iota // what was asked for cannot be; the error says why
	FaultMissing                  // a name does not exist
	FaultExists                   // a name exists already
	FaultDenied                   // an ACL does not allow it
	FaultState                    // it cannot be as things stand: a group with members, a topic that is being deleted
	FaultUnavailable              // the cluster does not answer, or cannot do it now
)

// FaultOf tells what an error means. Errors of this package that come neither
// from the cluster nor from the way to it are mistakes in what was asked for.
func FaultOf(err error) Fault {
	is := func(all ...*kerr.Error) bool {
		return slices.ContainsFunc(all, func(e *kerr.Error) bool { return errors.Is(err, e) })
	}
	var broker *kerr.Error
	var network net.Error
	switch {
	case errors.Is(err, ErrNoTopic), errors.Is(err, ErrNoGroup), errors.Is(err, ErrNoBroker), is(kerr.UnknownTopicOrPartition, kerr.UnknownTopicID, kerr.GroupIDNotFound):
		return FaultMissing
	case is(kerr.TopicAlreadyExists):
		return FaultExists
	case is(kerr.TopicAuthorizationFailed, kerr.GroupAuthorizationFailed, kerr.ClusterAuthorizationFailed, kerr.SaslAuthenticationFailed):
		return FaultDenied
	case is(kerr.NonEmptyGroup, kerr.GroupSubscribedToTopic, kerr.ReassignmentInProgress, kerr.InvalidTxnState):
		return FaultState
	case is(kerr.InvalidTopicException, kerr.InvalidConfig, kerr.InvalidPartitions, kerr.InvalidReplicationFactor, kerr.InvalidReplicaAssignment,
		kerr.PolicyViolation, kerr.InvalidRequest, kerr.OffsetOutOfRange, kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidGroupID,
		kerr.UnsupportedVersion, kerr.TopicDeletionDisabled):
		return FaultMistake
	case errors.As(err, &broker), errors.As(err, &network), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, kgo.ErrClientClosed), errors.Is(err, errNotSo), errors.Is(err, ErrSilent):
		return FaultUnavailable
	}
	return FaultMistake
}

// errNotSo means that a broker accepted a change and does not show it.
var errNotSo = errors.New("the broker accepted it, and it is not so")
