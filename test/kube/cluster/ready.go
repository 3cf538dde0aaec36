package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// client speaks to the API server as the administrator.
type client struct{ http *http.Client }

// newClient reads a kubeconfig as writePKI writes it.
func newClient(file string) (*client, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("cluster: %w", err)
	}
	var config struct {
		Clusters []struct {
			Cluster struct {
				Authority []byte `json:"certificate-authority-data"`
			} `json:"cluster"`
		} `json:"clusters"`
		Users []struct {
			User struct {
				Certificate []byte `json:"client-certificate-data"`
				Key         []byte `json:"client-key-data"`
			} `json:"user"`
		} `json:"users"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, fmt.Errorf("cluster: %s: %w", file, err)
	}
	if len(config.Clusters) != 1 || len(config.Users) != 1 {
		return nil, fmt.Errorf("cluster: %s is not one of this program's", file)
	}
	pair, err := tls.X509KeyPair(config.Users[0].User.Certificate, config.Users[0].User.Key)
	if err != nil {
		return nil, fmt.Errorf("cluster: %s: %w", file, err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(config.Clusters[0].Cluster.Authority)
	return &client{&http.Client{
		Timeout: 5 * time.Second,
		// No proxy of the environment's.
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}},
	}}, nil
}

func (c *client) close() { c.http.CloseIdleConnections() }

// get reads a path of a server of the API.
func (c *client) get(ctx context.Context, server, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", path, resp.Status, data)
	}
	return data, nil
}

// ready asks whether the API server is.
func (c *client) ready(ctx context.Context) error {
	_, err := c.get(ctx, apiServer, "/readyz")
	return err
}

// healthy asks everything that a pod needs: a node that takes it, an account, the
// way through a Service, a name.
func (c *client) healthy(ctx context.Context) error {
	data, err := c.get(ctx, apiServer, "/api/v1/nodes/"+NodeName)
	if err != nil {
		return err
	}
	if err := takesPods(data); err != nil {
		return err
	}
	if _, err := c.get(ctx, apiServer, "/api/v1/namespaces/default/serviceaccounts/default"); err != nil {
		return err
	}
	if _, err := c.get(ctx, "https://"+apiService, "/readyz"); err != nil {
		return fmt.Errorf("by its Service's address: %w", err)
	}
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(nodeAddress, "53"))
	}}
	const name = "kubernetes.default.svc." + domain
	addresses, err := resolver.LookupHost(ctx, name+".")
	if err != nil {
		return err
	}
	if len(addresses) != 1 || addresses[0] != apiService {
		return fmt.Errorf("the name %s leads to %v, not to %s", name, addresses, apiService)
	}
	return nil
}

// takesPods says why a node, as the API has it, takes none.
func takesPods(data []byte) error {
	var node struct {
		Spec struct {
			Taints []struct{ Key, Effect string }
		}
		Status struct {
			Conditions []struct{ Type, Status, Message string }
		}
	}
	if err := json.Unmarshal(data, &node); err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type != "Ready" {
			continue
		}
		if c.Status != "True" {
			return fmt.Errorf("the node is not ready: %s", c.Message)
		}
		if len(node.Spec.Taints) > 0 {
			return fmt.Errorf("the node has taints: %v", node.Spec.Taints)
		}
		return nil
	}
	return errors.New("the node has not said that it is ready")
}
