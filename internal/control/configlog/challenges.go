package configlog

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/smartlb/smartlb/internal/base/readable"
	"github.com/smartlb/smartlb/internal/event"
	"github.com/smartlb/smartlb/internal/kafka"
)

// Limits of the challenges in the log.
const (
	maxChallenges    = 1000      // above that, the oldest are forgotten
	maxChallengeTime = time.Hour // from signing; a later end is cut
)

// Challenge is the answer to a challenge, from a signed record, with the node that orders the certificate.
type Challenge struct {
	event.Challenge
	Node string
}

// token accepts what RFC 8555 §8.1 permits: base64url without padding.
var token = regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)

// CheckChallenge returns an error if nodes would refuse the challenge.
func CheckChallenge(c event.Challenge) error {
	owner, thumbprint, _ := strings.Cut(c.KeyAuthorization, ".")
	switch {
	case !token.MatchString(c.Token):
		return errors.New("challenge.token: want 1 to 200 letters, digits, dashes and underscores")
	case owner != c.Token || !token.MatchString(thumbprint):
		return errors.New("challenge.keyAuthorization: want the token, a dot and the thumbprint of the account's key")
	case strings.ToLower(c.Name) != c.Name:
		return errors.New("challenge.name: want lower case")
	}
	return nil
}

// challenge takes a challenge from a signed record. It replaces the challenge of the same node and name; an end in the
// past only removes that one. Time is that of the signatures, so the result is the same on every node, and a record that
// is appended again long after it was signed has no effect.
func (s *State) challenge(u Update) {
	signed := u.Writer.At
	s.Challenges = slices.DeleteFunc(s.Challenges, func(c Challenge) bool {
		return !c.EndsAt.After(signed) || c.Node == u.Node && c.Name == u.Challenge.Name
	})
	c := Challenge{Challenge: u.Challenge, Node: u.Node}
	if latest := signed.Add(maxChallengeTime); c.EndsAt.After(latest) {
		c.EndsAt = latest
	}
	if !c.EndsAt.After(signed) {
		return
	}
	if s.Challenges = append(s.Challenges, c); len(s.Challenges) > maxChallenges {
		s.Challenges = slices.Delete(s.Challenges, 0, 1)
	}
}

// PublishChallenge writes a challenge of a node, so that every node with the same signing keys answers it.
func PublishChallenge(ctx context.Context, cfg kafka.Config, c event.Challenge, node string, log *slog.Logger) error {
	return send(ctx, cfg, event.ConfigUpdate{
		ChangeID: randomHex(8), Timestamp: readable.Moment(time.Now()), Node: node, Kind: event.KindChallenge, Challenge: c,
	}, log)
}
