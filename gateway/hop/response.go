package hop

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// Bounds of an answer's head.
const (
	// MaxHead bytes of the status line and all headers together.
	MaxHead = 64 << 10
	// maxFields of one answer.
	maxFields = 256
	// maxInterim answers (1xx) before the final one.
	maxInterim = 8
	// maxTrailer bytes after the last chunk, dropped.
	maxTrailer = 8 << 10
	// maxChunkLine bytes of a chunk's size with its extensions.
	maxChunkLine = 256
)

// How an answer's body ends.
type framingKind int

const (
	byLength framingKind = iota
	byChunks
	byClose
)

// Response is the backend's answer. Read the body with Next until io.EOF, then
// Close; a Response that is closed earlier takes its connection along.
type Response struct {
	Status int
	// Header without hop-by-hop fields and without Content-Length.
	Header http.Header
	// Length of the body in bytes; -1 where only its end tells.
	Length int64

	framing framingKind
	// left bytes of the body (byLength) or of the current chunk (byChunks).
	left int64
	// started says that a chunk's line was read before (byChunks).
	started bool
	done    bool
	// shown bytes of r's buffer were handed out by Next and are dropped by the
	// following call.
	shown     int
	keepAlive bool
	r         *bufio.Reader
	release   func(reusable bool)
	// fault translates a read's error, with what the connection knows.
	fault func(error) error
}

// readHead reads up to the end of the final answer's headers.
func (p *Response) readHead(method string) error {
	for range maxInterim {
		if err := p.readOneHead(method); err != nil {
			return err
		}
		switch {
		case p.Status == http.StatusSwitchingProtocols:
			return malformed("it switches protocols unasked")
		case p.Status >= 200:
			return nil
		}
	}
	return malformed("more than %d interim answers", maxInterim)
}

func (p *Response) readOneHead(method string) error {
	budget := MaxHead
	line, err := readLine(p.r, &budget)
	if err != nil {
		return err
	}
	if p.Status, p.keepAlive, err = parseStatusLine(line); err != nil {
		return err
	}
	h := make(http.Header, 8)
	p.Header, p.Length, p.framing, p.left = h, -1, byClose, 0
	chunked, old := false, !p.keepAlive
	// One array for all the values, as net/textproto does.
	values := make([]string, 0, 8)
	for n := 0; ; n++ {
		line, err := readLine(p.r, &budget)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		if n == maxFields {
			return malformed("more than %d header fields", maxFields)
		}
		name, value, err := parseField(line)
		if err != nil {
			return err
		}
		switch name {
		case "Content-Length":
			length, err := parseLength(value)
			if err != nil {
				return err
			}
			if p.Length >= 0 {
				return malformed("Content-Length is given twice")
			}
			p.Length = length
			continue
		case "Transfer-Encoding":
			if chunked || old || !strings.EqualFold(value, "chunked") {
				return malformed("Transfer-Encoding %q is not just chunked, or of HTTP/1.0", value)
			}
			chunked = true
			continue
		case "Connection":
			for item := range strings.SplitSeq(value, ",") {
				if strings.EqualFold(strings.TrimSpace(item), "close") {
					p.keepAlive = false
				}
			}
		}
		if len(values) < cap(values) {
			values = append(values, value)
			last := len(values) - 1
			if existing, ok := h[name]; ok {
				h[name] = append(existing, value)
			} else {
				h[name] = values[last : last+1 : last+1]
			}
		} else {
			h[name] = append(h[name], value)
		}
	}
	return p.frame(method, chunked, h)
}

// frame decides how the body ends (RFC 9112 section 6.3), stricter.
func (p *Response) frame(method string, chunked bool, h http.Header) error {
	if connection := h["Connection"]; connection != nil {
		for name := range h {
			if named(connection, name) {
				delete(h, name)
			}
		}
	}
	for name := range h {
		if hopByHop(name) {
			delete(h, name)
		}
	}
	if chunked && p.Length >= 0 {
		return malformed("both Content-Length and Transfer-Encoding")
	}
	none := method == http.MethodHead || p.Status < 200 || p.Status == http.StatusNoContent || p.Status == http.StatusNotModified
	switch {
	case none:
		// A Content-Length says here what the body would be.
		p.framing, p.left, p.done = byLength, 0, p.Status >= 200
	case chunked:
		p.framing = byChunks
	case p.Length >= 0:
		p.framing, p.left = byLength, p.Length
		p.done = p.left == 0
	default:
		p.framing, p.keepAlive = byClose, false
	}
	return nil
}

// Next returns the next bytes of the body, valid until the following call of
// any method; io.EOF after the last.
func (p *Response) Next() ([]byte, error) {
	b, err := p.next()
	if err != nil && err != io.EOF {
		p.keepAlive = false
		if !errors.Is(err, ErrProtocol) {
			err = p.fault(err)
		}
	}
	return b, err
}

func (p *Response) next() ([]byte, error) {
	p.drop()
	if p.done {
		return nil, io.EOF
	}
	if p.framing == byChunks && p.left == 0 {
		if err := p.nextChunk(); err != nil {
			return nil, err
		}
		if p.done {
			return nil, io.EOF
		}
	}
	if p.r.Buffered() == 0 {
		if _, err := p.r.Peek(1); err != nil {
			if err == io.EOF && p.framing == byClose {
				p.done = true
				return nil, io.EOF
			}
			return nil, noEOF(err)
		}
	}
	n := p.r.Buffered()
	if p.framing != byClose {
		n = int(min(int64(n), p.left))
		p.left -= int64(n)
		p.done = p.framing == byLength && p.left == 0
	}
	p.shown = n
	return p.r.Peek(n)
}

// drop gives the bytes of the last Next back to the reader.
func (p *Response) drop() {
	if p.shown > 0 {
		_, _ = p.r.Discard(p.shown) // they are in the buffer
		p.shown = 0
	}
}

// nextChunk reads the line before a chunk, and the end of the chunk before.
func (p *Response) nextChunk() error {
	budget := maxChunkLine
	if p.started {
		line, err := readLine(p.r, &budget)
		if err != nil {
			return noEOF(err)
		}
		if len(line) != 0 {
			return malformed("a chunk is longer than its size")
		}
	}
	p.started = true
	budget = maxChunkLine
	line, err := readLine(p.r, &budget)
	if err != nil {
		return noEOF(err)
	}
	if p.left, err = parseChunkSize(line); err != nil {
		return err
	}
	if p.left > 0 {
		return nil
	}
	// The trailer.
	budget = maxTrailer
	for {
		line, err := readLine(p.r, &budget)
		if err != nil {
			return noEOF(err)
		}
		if len(line) == 0 {
			p.done = true
			return nil
		}
		if _, _, err := parseField(line); err != nil {
			return err
		}
	}
}

// Close gives the connection back when the answer was read whole and ends it
// otherwise.
func (p *Response) Close() {
	if p.release == nil {
		return
	}
	p.drop()
	release := p.release
	p.release = nil // p is the connection's: another's answer once it is released
	// Bytes behind the answer belong to nobody.
	release(p.done && p.keepAlive && p.r.Buffered() == 0)
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// readLine returns a line without its CR LF. The bytes are the reader's. A
// bare line feed ends no line here.
func readLine(r *bufio.Reader, budget *int) ([]byte, error) {
	line, err := r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		// Longer than the buffer: go on in a copy.
		long := bytes.Clone(line)
		for err == bufio.ErrBufferFull && len(long) <= *budget {
			line, err = r.ReadSlice('\n')
			long = append(long, line...)
		}
		line = long
	}
	if len(line) > *budget {
		return nil, malformed("a head, chunk line or trailer over its limit of bytes")
	}
	if err != nil {
		if err == io.EOF && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	*budget -= len(line)
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return nil, malformed("a line ends without CR LF")
	}
	return line[:len(line)-2], nil
}

func parseStatusLine(line []byte) (status int, keepAlive bool, err error) {
	// HTTP/1.1 200 OK
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[7] != '0' && line[7] != '1' || line[8] != ' ' || len(line) > 12 && line[12] != ' ' {
		return 0, false, malformed("status line %.64q", line)
	}
	for _, c := range line[9:12] {
		if c < '0' || c > '9' {
			return 0, false, malformed("status line %.64q", line)
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || status > 999 {
		return 0, false, malformed("status %d", status)
	}
	for _, c := range line[12:] {
		if c < ' ' && c != '\t' || c == 0x7f {
			return 0, false, malformed("status line %.64q", line)
		}
	}
	return status, line[7] == '1', nil
}

func parseField(line []byte) (name, value string, err error) {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return "", "", malformed("header line %.64q", line)
	}
	for _, c := range line[:colon] {
		if !tokenByte[c] {
			return "", "", malformed("header line %.64q", line)
		}
	}
	raw := bytes.Trim(line[colon+1:], " \t")
	for _, c := range raw {
		if c < ' ' && c != '\t' || c == 0x7f {
			return "", "", malformed("value of header %.64q", line[:colon])
		}
	}
	return canonical(line[:colon]), fieldValue(raw), nil
}

// canonical spares an allocation for the names that our agents send.
func canonical(name []byte) string {
	switch string(name) {
	case "Content-Type":
		return "Content-Type"
	case "Content-Length":
		return "Content-Length"
	case "Date":
		return "Date"
	case "X-Call-Id":
		return "X-Call-Id"
	case "X-Duration-Seconds":
		return "X-Duration-Seconds"
	}
	return textproto.CanonicalMIMEHeaderKey(string(name))
}

// fieldValue spares an allocation for the most common type.
func fieldValue(raw []byte) string {
	if string(raw) == "application/json" {
		return "application/json"
	}
	return string(raw)
}

func parseLength(s string) (int64, error) {
	if s == "" || len(s) > 18 {
		return 0, malformed("Content-Length %.32q", s)
	}
	var n int64
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, malformed("Content-Length %.32q", s)
		}
		n = n*10 + int64(s[i]-'0')
	}
	return n, nil
}

func parseChunkSize(line []byte) (int64, error) {
	digits := line
	if semicolon := bytes.IndexByte(line, ';'); semicolon >= 0 {
		for _, c := range line[semicolon:] {
			if c < ' ' && c != '\t' || c == 0x7f {
				return 0, malformed("chunk extension")
			}
		}
		digits = bytes.TrimRight(line[:semicolon], " \t")
	}
	if len(digits) == 0 || len(digits) > 15 {
		return 0, malformed("chunk size %.32q", line)
	}
	var n int64
	for _, c := range digits {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, malformed("chunk size %.32q", line)
		}
		n = n<<4 | int64(c)
	}
	return n, nil
}
