package broker

import (
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// NodeID is the broker's id, the same as that of the real broker of a local stack. kfake numbers its nodes from 0, so
// ids are translated.
const NodeID = 1

const kfakeNode = 0

// outside translates a kfake node id for clients.
func outside(id int32) int32 {
	if id == kfakeNode {
		return NodeID
	}
	return id
}

func outsideAll(ids []int32) {
	for i := range ids {
		ids[i] = outside(ids[i])
	}
}

// inside translates the name of a broker resource for kfake. For a broker that does not exist, it returns a name that
// kfake does not know.
func inside(resource string) string {
	switch resource {
	case "":
		return ""
	case strconv.Itoa(NodeID):
		return strconv.Itoa(kfakeNode)
	}
	return "-1"
}

// outsideName translates the name of a broker resource for clients.
func outsideName(resource string) string {
	if resource == strconv.Itoa(kfakeNode) {
		return strconv.Itoa(NodeID)
	}
	return resource
}

// checkAssignment checks that replicas are assigned only to this broker, and translates them.
func checkAssignment(replicas []int32) *problem {
	if len(replicas) != 1 || replicas[0] != NodeID {
		return &problem{kerr.InvalidReplicaAssignment.Code, "The only broker that can have replicas is " + strconv.Itoa(NodeID)}
	}
	replicas[0] = kfakeNode
	return nil
}

// renumber translates the node ids of a reply.
func renumber(resp kmsg.Response) {
	switch r := resp.(type) {
	case *kmsg.MetadataResponse:
		r.ControllerID = outside(r.ControllerID)
		for i := range r.Brokers {
			r.Brokers[i].NodeID = outside(r.Brokers[i].NodeID)
		}
		for _, t := range r.Topics {
			for i := range t.Partitions {
				p := &t.Partitions[i]
				p.Leader = outside(p.Leader)
				outsideAll(p.Replicas)
				outsideAll(p.ISR)
				outsideAll(p.OfflineReplicas)
			}
		}
	case *kmsg.FindCoordinatorResponse:
		if r.Version < 4 && r.ErrorCode == 0 {
			r.NodeID = outside(r.NodeID)
		}
		for i := range r.Coordinators {
			if r.Coordinators[i].ErrorCode == 0 {
				r.Coordinators[i].NodeID = outside(r.Coordinators[i].NodeID)
			}
		}
	case *kmsg.DescribeClusterResponse:
		r.ControllerID = outside(r.ControllerID)
		for i := range r.Brokers {
			r.Brokers[i].NodeID = outside(r.Brokers[i].NodeID)
		}
	case *kmsg.ListPartitionReassignmentsResponse:
		for _, t := range r.Topics {
			for i := range t.Partitions {
				outsideAll(t.Partitions[i].Replicas)
				outsideAll(t.Partitions[i].AddingReplicas)
				outsideAll(t.Partitions[i].RemovingReplicas)
			}
		}
	}
}

// reassign permits reassignments that leave replicas where they are, and refuses all others.
func reassign(req *kmsg.AlterPartitionAssignmentsRequest) (func(kmsg.Response), bool) {
	var refused []kmsg.AlterPartitionAssignmentsResponseTopic
	for i := range req.Topics {
		t := &req.Topics[i]
		kept, bad := sift(t.Partitions, func(p kmsg.AlterPartitionAssignmentsRequestTopicPartition) *problem {
			if p.Replicas == nil { // cancels a reassignment
				return nil
			}
			return checkAssignment(p.Replicas)
		}, func(p kmsg.AlterPartitionAssignmentsRequestTopicPartition, why *problem) kmsg.AlterPartitionAssignmentsResponseTopicPartition {
			e := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			e.Partition, e.ErrorCode, e.ErrorMessage = p.Partition, why.code, &why.message
			return e
		})
		t.Partitions = kept
		if len(bad) > 0 {
			e := kmsg.NewAlterPartitionAssignmentsResponseTopic()
			e.Topic, e.Partitions = t.Topic, bad
			refused = append(refused, e)
		}
	}
	return func(resp kmsg.Response) {
		r, ok := resp.(*kmsg.AlterPartitionAssignmentsResponse)
		if !ok {
			return
		}
		for _, e := range refused {
			found := false
			for i := range r.Topics {
				if r.Topics[i].Topic == e.Topic {
					r.Topics[i].Partitions = append(r.Topics[i].Partitions, e.Partitions...)
					found = true
				}
			}
			if !found {
				r.Topics = append(r.Topics, e)
			}
		}
	}, true
}
