package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// bodyPatience bounds the reading of a request's body.
const bodyPatience = time.Minute

var errTooLarge = errors.New("the body is over the limit")

// readBody reads the whole body into a buffer that keepBuffer takes back.
func (g *Gateway) readBody(w http.ResponseWriter, req *http.Request) (*[]byte, []byte, error) {
	limit := g.options.Limits.Body
	if req.ContentLength > limit {
		return nil, nil, errTooLarge
	}
	if req.Body == nil || req.Body == http.NoBody {
		return nil, nil, nil
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyPatience)) // not supported: not a connection
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	buffer, _ := g.buffers.Get().(*[]byte)
	if buffer == nil {
		buffer = new([]byte)
	}
	if n := int(req.ContentLength); n >= 0 {
		if cap(*buffer) < n {
			*buffer = make([]byte, n)
		}
		*buffer = (*buffer)[:n]
		if _, err := io.ReadFull(req.Body, *buffer); err != nil {
			return nil, nil, fmt.Errorf("the body could not be read: %w", err)
		}
		return buffer, *buffer, nil
	}
	grown := bytes.NewBuffer((*buffer)[:0])
	if _, err := grown.ReadFrom(http.MaxBytesReader(w, req.Body, limit)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, nil, errTooLarge
		}
		return nil, nil, fmt.Errorf("the body could not be read: %w", err)
	}
	*buffer = grown.Bytes()
	return buffer, *buffer, nil
}

// refuseBody answers a request whose body was not to be had.
func (g *Gateway) refuseBody(w http.ResponseWriter, err error) int {
	w.Header().Set("Connection", "close")
	if errors.Is(err, errTooLarge) {
		return g.refuse(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("the request's body is over the limit of %d bytes", g.options.Limits.Body))
	}
	return g.refuse(w, http.StatusBadRequest, err.Error())
}

func (g *Gateway) keepBuffer(b *[]byte) {
	if b != nil && cap(*b) <= maxKeptBody {
		g.buffers.Put(b)
	}
}
