package services

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// healthPath is where the object server says that it is well.
const healthPath = "/health"

// answerTime bounds one question to a service.
const answerTime = 3 * time.Second

// Ready says what is wrong with the services at the ports: one that is down, or
// that lacks the workflows' data.
func Ready(ctx context.Context, p Ports) error {
	program := postgresTool("psql")
	if program == "" {
		return &MissingError{Program: postgres + " (psql)", Install: install}
	}
	advice := func(err error) error {
		return fmt.Errorf("services: %w: start the services and put their data there with: make services", err)
	}
	if err := p.healthy(ctx); err != nil {
		return advice(err)
	}
	seed, err := psql(ctx, program, p.Postgres, strings.NewReader("SELECT seed FROM dataset"))
	if err != nil {
		return advice(err)
	}
	if want := fmt.Sprint(Seed); seed != want {
		return advice(fmt.Errorf("%s at %s has the data of the seed %q, not of %s", postgres, address(p.Postgres), seed, want))
	}
	text := fmt.Sprint(Seed)
	if err := converse(ctx, redis, p.Redis, "GET dataset\r\n", fmt.Sprintf("$%d", len(text)), text); err != nil {
		return advice(fmt.Errorf("the workflows' data are missing: %w", err))
	}
	return nil
}

// healthy reports whether all four answer, by naming one that does not.
func (p Ports) healthy(ctx context.Context) error {
	if err := converse(ctx, redis, p.Redis, "PING\r\n", "+PONG"); err != nil {
		return err
	}
	if err := converse(ctx, memcached, p.Memcached, "verbosity 0\r\n", "OK"); err != nil {
		return err
	}
	if err := p.healthyS3(ctx); err != nil {
		return err
	}
	// Eight bytes that ask for TLS, which is answered with one: N, or S for yes.
	return exchange(ctx, postgres, p.Postgres, func(conn net.Conn) error {
		if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
			return err
		}
		var answer [1]byte
		if _, err := conn.Read(answer[:]); err != nil {
			return err
		}
		if answer[0] != 'N' && answer[0] != 'S' {
			return fmt.Errorf("it answers %q", answer[0])
		}
		return nil
	})
}

func (p Ports) healthyS3(ctx context.Context) error {
	if p.S3 == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address(p.S3)+healthPath, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", s3, err)
	}
	// No proxy of the environment's, and no connection that outlives the question.
	transport := &http.Transport{DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("%s at %s does not answer: %w", s3, address(p.S3), err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s at %s answers %s", s3, address(p.S3), resp.Status)
	}
	return nil
}

// exchange connects to a service, with a bound for all that talk does.
func exchange(ctx context.Context, service string, port int, talk func(net.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address(port))
	if err != nil {
		return fmt.Errorf("%s at %s does not answer: %w", service, address(port), err)
	}
	defer func() { _ = conn.Close() }()
	end, _ := ctx.Deadline() // set above
	err = errors.Join(conn.SetDeadline(end))
	if err == nil {
		err = talk(conn)
	}
	if err != nil {
		return fmt.Errorf("%s at %s: %w", service, address(port), err)
	}
	return nil
}

// converse sends text and wants the answer's lines.
func converse(ctx context.Context, service string, port int, text string, lines ...string) error {
	return exchange(ctx, service, port, func(conn net.Conn) error {
		sent := make(chan error, 1)
		go func() { // ends with the connection's deadline
			_, err := conn.Write([]byte(text))
			sent <- err
		}()
		in := bufio.NewReader(conn)
		for _, want := range lines {
			got, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if got = strings.TrimSpace(got); got != want {
				return fmt.Errorf("it answers %q, not %q", got, want)
			}
		}
		return <-sent
	})
}
