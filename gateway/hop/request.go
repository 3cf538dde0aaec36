package hop

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// Field is one header field.
type Field struct{ Name, Value string }

// Request is what goes to the backend. It may not be changed during Do.
type Request struct {
	Method string
	// Target is the path, escaped, with the query: "/function/f?x=1".
	Target string
	// Host is the Host header.
	Host string
	// Header is the caller's: hop-by-hop fields, framing, Host and Expect are
	// left out, since they are between the caller and us.
	Header http.Header
	// Extra fields go besides Header. A field of Header with the name of an
	// Extra one is left out.
	Extra []Field
	// Body is the whole body.
	Body []byte
	// NoWait fails with ErrNotSent at once where the backend is down, rather
	// than wait for its restart: there is another to turn to.
	NoWait bool
}

// errBadField guards against request splitting: net/http has checked what it
// parsed, and nothing else may reach the wire unchecked.
var errBadField = errors.New("a header field or the request line holds a character that it may not")

// hopByHop fields end at each hop (RFC 9110 section 7.6.1), in canonical form.
func hopByHop(name string) bool {
	switch name {
	case "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// framing fields are written by this package alone.
func framing(name string) bool {
	return name == "Content-Length" || name == "Host" || name == "Expect"
}

// named reports whether a Connection header lists the field.
func named(connection []string, name string) bool {
	for _, v := range connection {
		for item := range strings.SplitSeq(v, ",") {
			if strings.EqualFold(strings.TrimSpace(item), name) {
				return true
			}
		}
	}
	return false
}

// appendHead appends the request's line and headers, the empty line included.
func appendHead(b []byte, r *Request) ([]byte, error) {
	if !validToken(r.Method) || !validTarget(r.Target) || !validValue(r.Host) {
		return b, errBadField
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, r.Host...)
	b = append(b, "\r\n"...)
	connection := r.Header["Connection"]
	for name, values := range r.Header {
		if hopByHop(name) || framing(name) || replaced(r.Extra, name) || (connection != nil && named(connection, name)) {
			continue
		}
		for _, v := range values {
			var err error
			if b, err = appendField(b, name, v); err != nil {
				return b, err
			}
		}
	}
	for _, f := range r.Extra {
		var err error
		if b, err = appendField(b, f.Name, f.Value); err != nil {
			return b, err
		}
	}
	if len(r.Body) > 0 || !bodyless(r.Method) {
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, int64(len(r.Body)), 10)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

// bodyless methods carry no body, so none need say that theirs is empty.
func bodyless(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions || method == http.MethodDelete
}

func replaced(extra []Field, name string) bool {
	for i := range extra {
		if extra[i].Name == name {
			return true
		}
	}
	return false
}

func appendField(b []byte, name, value string) ([]byte, error) {
	if !validToken(name) || !validValue(value) {
		return b, errBadField
	}
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...), nil
}

// tokenByte holds RFC 9110's tchar.
var tokenByte = func() (t [256]bool) {
	for c := '0'; c <= '9'; c++ {
		t[c] = true
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = true, true
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] = true
	}
	return t
}()

func validToken(s string) bool {
	for i := range len(s) {
		if !tokenByte[s[i]] {
			return false
		}
	}
	return s != ""
}

// validTarget: origin form, visible ASCII.
func validTarget(s string) bool {
	if s == "" || s[0] != '/' {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

// validValue: no control characters but the tab (RFC 9110 section 5.5).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
