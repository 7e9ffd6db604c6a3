package action

import "github.com/smartlb/smartlb/internal/dataplane/jwt"

// JWT requires a token (RFC 6750). It is immutable.
type JWT struct {
	Verifier   *jwt.Verifier
	challenges [jwt.NumReasons]*Headers
}

// refusals are the sentences about refused tokens, without quotes and backslashes.
var refusals = [jwt.NumReasons]string{
	jwt.Missing: "the route needs a token", jwt.Malformed: "the token is not valid", jwt.Algorithm: "the algorithm of the token is not allowed",
	jwt.NoKeys: "the keys of the issuer are not available yet: retry in a few seconds", jwt.UnknownKey: "no key of the issuer fits the token",
	jwt.Signature: "the signature of the token is wrong", jwt.Issuer: "the token is of another issuer", jwt.Audience: "the token is for another audience",
	jwt.Expired: "the token has expired", jwt.NotYetValid: "the token is not valid yet",
}

// NewJWT returns the check of a route.
func NewJWT(v *jwt.Verifier) (_ *JWT, err error) {
	j := &JWT{Verifier: v}
	for r := jwt.Missing; int(r) < jwt.NumReasons; r++ {
		value := "Bearer" // without an error if there is no token (RFC 6750 §3.1)
		if r != jwt.Missing {
			value += ` error="invalid_token", error_description="` + refusals[r] + `"`
		}
		if j.challenges[r], err = NewHeaders([]Edit{{Name: "WWW-Authenticate", Value: value}}, nil); err != nil {
			return nil, err
		}
	}
	return j, nil
}

// Refusal returns the headers and the sentence of the 401.
func (j *JWT) Refusal(r jwt.Reason) (challenge *Headers, text string) {
	return j.challenges[r], refusals[r]
}
