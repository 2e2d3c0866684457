package main

import (
	"context"
	"crypto/elliptic"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"path/filepath"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// controlPlane is etcd and kube-apiserver with certificates of their own, and what a client needs to reach them.
// There is no controller manager: namespaces and foreground deletions do not finish here.
type controlPlane struct {
	etcd, apiserver *process
	url             string
	ca              *authority
}

func newControlPlane(f folder, assets string) (*controlPlane, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	etcdURL, peerURL := "https://127.0.0.1:"+ports[0], "https://127.0.0.1:"+ports[1]
	c := &controlPlane{url: "https://127.0.0.1:" + ports[2]}
	storage, err := c.writeCertificates(f)
	if err != nil {
		return nil, fmt.Errorf("making the control plane's certificates: %w", err)
	}
	at := func(name string) string { return f.path("controlplane", name) }
	c.etcd = &process{
		name: "etcd", program: filepath.Join(assets, "etcd"), folder: f,
		serves: answers(etcdURL+"/health", storage),
		args: []string{
			"--name=local", "--data-dir=" + at("etcd"), "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
			"--listen-peer-urls=" + peerURL, "--initial-advertise-peer-urls=" + peerURL, "--initial-cluster=local=" + peerURL,
			"--cert-file=" + at("etcd.crt"), "--key-file=" + at("etcd.key"),
			"--trusted-ca-file=" + at("etcd-ca.crt"), "--client-cert-auth",
			"--peer-cert-file=" + at("etcd.crt"), "--peer-key-file=" + at("etcd.key"),
			"--peer-trusted-ca-file=" + at("etcd-ca.crt"), "--peer-client-cert-auth",
		},
	}
	admin, err := c.ca.client("local-admin", "system:masters")
	if err != nil {
		return nil, err
	}
	if err := c.writeKubeconfig(f.path("kubeconfig"), &clientcmdapi.AuthInfo{
		ClientCertificateData: admin.certPEM, ClientKeyData: admin.pkPEM,
	}); err != nil {
		return nil, err
	}
	trusted, err := mutual(c.ca.pem(), admin)
	if err != nil {
		return nil, err
	}
	c.apiserver = &process{
		name: "kube-apiserver", program: filepath.Join(assets, "kube-apiserver"), folder: f,
		serves: answers(c.url+"/readyz", trusted),
		args: []string{
			"--bind-address=127.0.0.1", "--external-hostname=127.0.0.1", "--secure-port=" + ports[2], "--endpoint-reconciler-type=none",
			"--etcd-servers=" + etcdURL, "--etcd-cafile=" + at("etcd-ca.crt"),
			"--etcd-certfile=" + at("etcd-client.crt"), "--etcd-keyfile=" + at("etcd-client.key"),
			"--tls-cert-file=" + at("apiserver.crt"), "--tls-private-key-file=" + at("apiserver.key"),
			"--client-ca-file=" + at("ca.crt"), "--authorization-mode=RBAC", "--anonymous-auth=false",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + at("service-accounts.crt"),
			"--service-account-signing-key-file=" + at("service-accounts.key"),
			"--service-cluster-ip-range=10.0.0.0/24", "--cert-dir=" + at(""), "--profiling=false",
		},
	}
	return c, nil
}

// writeCertificates makes a CA for etcd, so that no Kubernetes client can go round the API server, and one for the rest.
// The TLS configuration that it returns is that of a client of etcd.
func (c *controlPlane) writeCertificates(f folder) (*tls.Config, error) {
	etcdCA, err := newAuthority("local etcd")
	if err != nil {
		return nil, err
	}
	if c.ca, err = newAuthority("local control plane"); err != nil {
		return nil, err
	}
	etcd, err := etcdCA.server("etcd")
	if err != nil {
		return nil, err
	}
	etcdClient, err := etcdCA.client("kube-apiserver")
	if err != nil {
		return nil, err
	}
	apiserver, err := c.ca.server("kube-apiserver")
	if err != nil {
		return nil, err
	}
	tokens, err := c.ca.issue(x509.Certificate{}, ecKey(elliptic.P256())) // only its key is used
	if err != nil {
		return nil, err
	}
	pairs := map[string]keyPair{"etcd": etcd, "etcd-client": etcdClient, "apiserver": apiserver, "service-accounts": tokens}
	for name, pair := range pairs {
		if err := pair.write(f, "controlplane", name); err != nil {
			return nil, err
		}
	}
	if err := f.public(etcdCA.pem(), "controlplane", "etcd-ca.crt"); err != nil {
		return nil, err
	}
	if err := f.public(c.ca.pem(), "controlplane", "ca.crt"); err != nil {
		return nil, err
	}
	return mutual(etcdCA.pem(), etcdClient)
}

func (c *controlPlane) writeKubeconfig(path string, user *clientcmdapi.AuthInfo) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["local"] = &clientcmdapi.Cluster{Server: c.url, CertificateAuthorityData: c.ca.pem()}
	config.AuthInfos["local"] = user
	config.Contexts["local"] = &clientcmdapi.Context{Cluster: "local", AuthInfo: "local"}
	config.CurrentContext = "local"
	return clientcmd.WriteToFile(*config, path)
}

// mutual is the TLS configuration of a client that shows a certificate and trusts one CA.
func mutual(caPEM []byte, client keyPair) (*tls.Config, error) {
	certificate, err := tls.X509KeyPair(client.certPEM, client.pkPEM)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(caPEM)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, RootCAs: pool}, nil
}

// answers makes a probe: a GET of the URL has to be answered with 200.
func answers(url string, config *tls.Config) func(context.Context) error {
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }() // nothing was written to it
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("GET %s: expected 200 OK, found %s", url, response.Status)
		}
		return nil
	}
}
