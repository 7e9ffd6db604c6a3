package config

// Scaler configures the gRPC service externalscaler.ExternalScaler, from which KEDA learns how many instances a service
// needs.
type Scaler struct {
	// address of the service. Nodes with the role proxy listen on it. On an address other than
	// loopback, the node starts only with `scaler.tls.clientCa` or --insecure-listen; default none
	Address string    `yaml:"address"`
	TLS     ScalerTLS `yaml:"tls"` // default plain text
}

// ScalerTLS are the TLS files of the service.
type ScalerTLS struct {
	Cert     string `yaml:"cert"`     // file with the certificate in PEM, then its chain. A changed pair is used without a restart; default none
	Key      string `yaml:"key"`      // file with the private key in PEM, without a password; default none
	ClientCA string `yaml:"clientCa"` // file with the certificates of the authorities of clients, read at the start. Clients without a certificate of one of them are refused; default none
}

func (c *checker) scaler(n Scaler) {
	if n.Address != "" {
		c.address("scaler.address", n.Address, true)
	}
	switch {
	case (n.TLS.Cert == "") != (n.TLS.Key == ""):
		c.fail("scaler.tls", "want cert and key, both")
	case n.TLS.ClientCA != "" && n.TLS.Cert == "":
		c.fail("scaler.tls.clientCa", "has no effect without cert and key")
	case n.TLS != (ScalerTLS{}) && n.Address == "":
		c.fail("scaler.tls", "has no effect without scaler.address")
	}
}
