package services

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// Ports on loopback that the services listen at. Without S3 (0) there is no object
// server, which is the one that has to be built.
type Ports struct {
	Postgres  int `json:"postgres"`
	Redis     int `json:"redis"`
	Memcached int `json:"memcached"`
	S3        int `json:"s3"`
}

// DefaultPorts are those in the workflows' project files.
func DefaultPorts() Ports { return Ports{Postgres: 9760, Redis: 9761, Memcached: 9762, S3: 9763} }

// FreePorts finds ports that nobody listens at now.
func FreePorts() (Ports, error) {
	var p Ports
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close() // nobody has connected
		}
	}()
	for _, port := range []*int{&p.Postgres, &p.Redis, &p.Memcached, &p.S3} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return Ports{}, fmt.Errorf("services: find a free port: %w", err)
		}
		held = append(held, l)
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}

// Keys with which requests to the object server are signed. They guard nothing:
// it listens on loopback only and holds what the workflows made up.
const (
	AccessKey = "workflows"
	SecretKey = "for-this-machine-only"
	// Bucket is the one that the workflows use.
	Bucket = "workflows"
)

// Env is what the workflows' functions find in their environment.
func (p Ports) Env() map[string]string {
	return map[string]string{
		"POSTGRES":      address(p.Postgres),
		"REDIS":         address(p.Redis),
		"MEMCACHED":     address(p.Memcached),
		"S3":            "http://" + address(p.S3),
		"S3_ACCESS_KEY": AccessKey,
		"S3_SECRET_KEY": SecretKey,
	}
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Options of Start. Dir is needed.
type Options struct {
	// Dir keeps the services' files; it is made. Its folders must be open to all
	// (mode +x) where root starts the services, which then run as another user.
	Dir string
	// Ports; zero: DefaultPorts.
	Ports Ports
	// Gateway is the program versitygw; empty: the one in PATH.
	Gateway string
	// Outlive leaves the services running when this process ends, until Stop is
	// called, here or by another process that Attach gave them to. Otherwise they
	// end with it, even where it is killed.
	Outlive bool
}

// MissingError says that a server's program is not on this machine.
type MissingError struct {
	Program string // "PostgreSQL"
	Install string // what puts it there
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("services: %s is not installed: %s", e.Program, e.Install)
}

// TakenError says that another program listens at a service's port.
type TakenError struct {
	Service string
	Port    int
}

func (e *TakenError) Error() string {
	return fmt.Sprintf("services: port %d, meant for %s, is taken: end what listens there, or name another port (make services SERVICES='-%s-port PORT')",
		e.Port, e.Service, flagOf(e.Service))
}

// check finds what is wrong before anything is started.
func (o *Options) check() error {
	if o.Dir == "" {
		return errors.New("services: Dir is empty: name a folder for their files")
	}
	for _, s := range o.Ports.named() {
		l, err := net.Listen("tcp", address(s.port))
		if err != nil {
			return fmt.Errorf("%w (%w)", &TakenError{Service: s.name, Port: s.port}, err)
		}
		if err := l.Close(); err != nil {
			return fmt.Errorf("services: %w", err)
		}
	}
	return nil
}

type namedPort struct {
	name string
	port int
}

func (p Ports) named() []namedPort {
	all := []namedPort{{postgres, p.Postgres}, {redis, p.Redis}, {memcached, p.Memcached}}
	if p.S3 != 0 {
		all = append(all, namedPort{s3, p.S3})
	}
	return all
}

// The services' names, in messages and in the file that says where they are.
const (
	postgres  = "PostgreSQL"
	redis     = "Redis"
	memcached = "memcached"
	s3        = "S3"
)

// flagOf is a service's name in the flags of servicectl.
func flagOf(service string) string {
	switch service {
	case postgres:
		return "postgres"
	case redis:
		return "redis"
	case memcached:
		return "memcached"
	}
	return "s3"
}
