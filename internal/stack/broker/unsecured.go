package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const noAuthorizer = "No Authorizer is configured: the embedded broker checks no permissions"

// refuseACLs replies to requests about permissions as Kafka without an authorizer does. kfake stores ACLs but does not
// enforce them.
func refuseACLs(c *kfake.Cluster) {
	message := noAuthorizer
	code := kerr.SecurityDisabled.Code
	answer := func(key kmsg.Key, of func(kmsg.Request, kmsg.Response)) {
		c.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			resp := req.ResponseKind()
			of(req, resp)
			return resp, nil, true
		})
	}
	answer(kmsg.DescribeACLs, func(_ kmsg.Request, resp kmsg.Response) {
		r := resp.(*kmsg.DescribeACLsResponse)
		r.ErrorCode, r.ErrorMessage = code, &message
	})
	answer(kmsg.CreateACLs, func(req kmsg.Request, resp kmsg.Response) {
		r := resp.(*kmsg.CreateACLsResponse)
		for range req.(*kmsg.CreateACLsRequest).Creations {
			one := kmsg.NewCreateACLsResponseResult()
			one.ErrorCode, one.ErrorMessage = code, &message
			r.Results = append(r.Results, one)
		}
	})
	answer(kmsg.DeleteACLs, func(req kmsg.Request, resp kmsg.Response) {
		r := resp.(*kmsg.DeleteACLsResponse)
		for range req.(*kmsg.DeleteACLsRequest).Filters {
			one := kmsg.NewDeleteACLsResponseResult()
			one.ErrorCode, one.ErrorMessage = code, &message
			r.Results = append(r.Results, one)
		}
	})
}
