package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/smartlb/smartlb/internal/kafka"
)

// Fault classifies an error of this package for the caller.
type Fault int

// Faults.
const (
	FaultMistake     Fault = iota // the request is not possible; the error gives the reason
	FaultMissing                  // a name does not exist
	FaultExists                   // a name exists already
	FaultDenied                   // an ACL does not allow it
	FaultState                    // not possible in the present state: a group with members, a topic that is being deleted
	FaultUnavailable              // the cluster does not answer, or cannot serve the request now
)

// FaultOf classifies an error. Errors of this package that come neither from the cluster nor from the network are
// mistakes in the request.
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
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed), errors.Is(err, kgo.ErrClientClosed), errors.Is(err, errNotSo), errors.Is(err, kafka.ErrSilent):
		return FaultUnavailable
	}
	return FaultMistake
}

// errNotSo means that a broker accepted a change but does not report it.
var errNotSo = errors.New("the broker accepted it, and it is not so")
