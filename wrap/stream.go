package wrap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Between machines internal requests are streams of HTTP/2, without TLS: as many as
// there are share one connection, none waits for a handshake, and a connection whose
// other end has gone without a word is found out by a ping.
const (
	// pingAfter is how long nothing has come over a connection when it is asked for
	// a sign of life, which has pingPatience to come.
	pingAfter    = 15 * time.Second
	pingPatience = 5 * time.Second
	// streamWindow bytes may be on their way before the reader takes some: net/http's
	// most. readFrame is the largest piece.
	streamWindow = 4<<20 - 1
	readFrame    = 1 << 20
	dialPatience = 2 * time.Second
)

// streams are the settings of HTTP/2 for both ends.
func streams() *http.HTTP2Config {
	return &http.HTTP2Config{
		MaxReadFrameSize:              readFrame,
		MaxReceiveBufferPerConnection: streamWindow,
		MaxReceiveBufferPerStream:     streamWindow,
		SendPingTimeout:               pingAfter,
		PingTimeout:                   pingPatience,
	}
}

// newTransport makes what speaks HTTP/2 with a peer at a TCP address.
func (p *peer) newTransport() *http.Transport {
	var only http.Protocols
	only.SetUnencryptedHTTP2(true)
	dialer := net.Dialer{Timeout: dialPatience}
	return &http.Transport{
		Protocols: &only, HTTP2: streams(), DisableCompression: true, IdleConnTimeout: idlePatience,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, p.network, p.address)
		},
	}
}

// answer is what a stream came to.
type streamAnswer struct {
	reply *peerReply
	err   error
}

// stream sends a request and returns without waiting for the answer.
func (p *peer) stream(ctx context.Context, m message, body []byte) *exchange {
	x := &exchange{peer: p, ctx: ctx, message: m, body: body, sent: time.Now(), answer: make(chan streamAnswer, 1)}
	p.streams.Go(func() { // ends with ctx at the latest
		r, err := x.roundTrip()
		x.answer <- streamAnswer{r, err}
	})
	return x
}

// roundTrip makes the request; it is made again, for peerWait, where the peer cannot
// have seen it.
func (x *exchange) roundTrip() (*peerReply, error) {
	patience := time.Now().Add(peerWait)
	for {
		req, err := x.message.request(x.ctx, x.peer.name, x.body)
		if err != nil {
			return nil, err
		}
		x.sent = time.Now()
		resp, err := x.peer.transport.RoundTrip(req)
		if err == nil {
			r, err := x.readBody(resp)
			if err == nil && r.status == http.StatusServiceUnavailable && time.Now().Before(patience) && pause(x.ctx, peerPause) {
				continue // it is shutting down, and does not work on it
			}
			return r, err
		}
		var dial *net.OpError
		if !errors.As(err, &dial) || dial.Op != "dial" {
			return nil, err
		}
		if x.ctx.Err() != nil || time.Now().After(patience) || !pause(x.ctx, peerPause) {
			return nil, &unreachedError{x.peer.name, err}
		}
	}
}

// readBody reads the body of an answer.
func (x *exchange) readBody(resp *http.Response) (*peerReply, error) {
	defer func() { _ = resp.Body.Close() }()
	r := &peerReply{status: resp.StatusCode, header: resp.Header, sent: x.sent}
	var err error
	r.body, err = readReply(resp)
	r.took = time.Since(x.sent)
	return r, err
}

// receiveStream waits for the answer.
func (x *exchange) receiveStream() (*peerReply, error) {
	a := <-x.answer
	var unreached *unreachedError
	switch {
	case a.err == nil:
		return a.reply, nil
	case x.ctx.Err() != nil:
		return nil, context.Cause(x.ctx)
	case errors.As(a.err, &unreached):
		return nil, unreached
	}
	return nil, fmt.Errorf("wrap %q died or closed the connection before it answered: %w", x.peer.name, a.err)
}

// unreachedError says that a peer has seen nothing of a request.
type unreachedError struct {
	peer string
	err  error
}

func (e *unreachedError) Error() string {
	return fmt.Sprintf("wrap %q cannot be reached: %v", e.peer, e.err)
}

func (e *unreachedError) Unwrap() error { return e.err }
