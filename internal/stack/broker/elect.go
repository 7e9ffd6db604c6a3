package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// electionNotNeeded returns an edit of the reply to an election. It replies as a node whose only replica leads already:
// ELECTION_NOT_NEEDED. When a client elects leaders for all partitions, Kafka leaves such partitions out of the reply.
func electionNotNeeded(all bool) func(kmsg.Response) {
	return func(resp kmsg.Response) {
		r, ok := resp.(*kmsg.ElectLeadersResponse)
		if !ok {
			return
		}
		if all {
			r.Topics = []kmsg.ElectLeadersResponseTopic{}
			return
		}
		message := "Leader election not needed for topic partition."
		for _, t := range r.Topics {
			for i := range t.Partitions {
				if p := &t.Partitions[i]; p.ErrorCode == 0 {
					p.ErrorCode, p.ErrorMessage = kerr.ElectionNotNeeded.Code, &message
				}
			}
		}
	}
}
