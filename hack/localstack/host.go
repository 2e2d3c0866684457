package main

import (
	"context"
	"fmt"
	"os/exec"
)

// audience is what the local CM host calls itself.
const audience = "cm.local"

// host is the reference CM host on SQLite.
type host struct {
	process *process
	url     string
	ca      *authority
	// operator is the client certificate of the one that may submit.
	operator keyPair
	load     *exec.Cmd
}

func newHost(f folder, program, samples string) (*host, error) {
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	h := &host{url: "https://127.0.0.1:" + ports[0]}
	if h.ca, err = newAuthority("local CM host"); err != nil {
		return nil, err
	}
	server, err := h.ca.server("CM host")
	if err != nil {
		return nil, err
	}
	if h.operator, err = h.ca.client("token-procedure-operator"); err != nil {
		return nil, err
	}
	reader, err := h.ca.client("reader")
	if err != nil {
		return nil, err
	}
	for name, pair := range map[string]keyPair{"server": server, "client": h.operator, "reader": reader} {
		if err := pair.write(f, "host", name); err != nil {
			return nil, err
		}
	}
	if err := f.public(h.ca.pem(), "host", "ca.crt"); err != nil {
		return nil, err
	}
	if err := f.line(h.url, "host", "url"); err != nil {
		return nil, err
	}
	if err := f.line(audience, "host", "audience"); err != nil {
		return nil, err
	}
	if err := f.line("http://127.0.0.1:"+ports[1]+"/metrics", "cmhost-metrics-url"); err != nil {
		return nil, err
	}
	config, err := mutual(h.ca.pem(), h.operator)
	if err != nil {
		return nil, err
	}
	database := f.path("host", "host.db")
	h.load = exec.Command(program, "load", "--database", database,
		"--officers", samples+"/officers.yaml", "--catalog", samples+"/catalog.yaml")
	h.process = &process{
		name: "cmhost", program: program, folder: f, serves: answers(h.url+"/v1/host", config),
		args: []string{
			"serve", "--audience", audience, "--listen", "127.0.0.1:" + ports[0], "--database", database,
			"--tls-cert", f.path("host", "server.crt"), "--tls-key", f.path("host", "server.key"),
			"--client-ca", f.path("host", "ca.crt"),
			"--submitter", h.operator.fingerprint(), "--reader", reader.fingerprint(), "--metrics-listen", "127.0.0.1:" + ports[1],
		},
	}
	return h, nil
}

// start loads the register and the catalogue, which is the host administrator's task, and serves them.
func (h *host) start(ctx context.Context) error {
	if output, err := h.load.CombinedOutput(); err != nil {
		return fmt.Errorf("loading officers and catalogue into the CM host: %w\n%s", err, output)
	}
	return h.process.ensure(ctx)
}
