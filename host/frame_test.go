package host

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// unhex reads bytes as they are written in doc.go: in groups.
func unhex(tb testing.TB, text string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The same bytes, written by hand after doc.go, are in
// python/tests/test_frames.py.
func TestFramesByteByByte(t *testing.T) {
	call := appendCall(nil, callHead{function: 3, requestID: "r-1", meta: []byte(`{"a":1}`), deadline: 21}, 12, false)
	call = append(call, "hello world!"...)
	want := unhex(t, "2a000000 01 00 0300 0300 0000 07000000 1500000000000000"+
		"722d31"+"7b2261223a317d"+"68656c6c6f20776f726c6421")
	if diff := cmp.Diff(want, call); diff != "" {
		t.Errorf("CALL: %s", diff)
	}

	reply := unhex(t, "29000000 02 01 02 00 c800 0000 02000000 0100000000000000 0200000000000000 0300000000000000")
	h, err := parseHead(reply, 100)
	if err != nil || h != (head{size: 45, kind: kindReply}) {
		t.Errorf("REPLY's head: %+v, %v", h, err)
	}
	r, err := parseReply(reply, h.size, 100)
	wantReply := replyHead{outcome: outcomeRaised, content: JSON, status: 200, headers: 2, body: 3, start: 1, run: 2, cpu: 3}
	if err != nil || r != wantReply {
		t.Errorf("REPLY: %+v, %v", r, err)
	}

	shared := appendCall(nil, callHead{function: 3, requestID: "r-1", deadline: 21, slot: 2, reuse: true}, 1<<20, true)
	want = unhex(t, "1f000000 01 03 0300 0300 0200 00000000 1500000000000000"+"722d31"+"0000100000000000")
	if diff := cmp.Diff(want, shared); diff != "" {
		t.Errorf("CALL with shared memory: %s", diff)
	}
	reply = unhex(t, "2c000000 02 00 01 03 0000 0000 00000000 0100000000000000 0200000000000000 0300000000000000"+"0000100000000000")
	r, err = parseReply(reply, len(reply), 100)
	wantReply = replyHead{content: Text, flags: flagShared | flagNew, body: 8, start: 1, run: 2, cpu: 3}
	if err != nil || r != wantReply {
		t.Errorf("REPLY with shared memory: %+v, %v", r, err)
	}

	row := appendRow(nil, 33, []next{{4, 5}, {6, time.Second}})
	want = unhex(t, "2100000000000000"+"0400 0000 00000000 0500000000000000"+"0600 0000 00000000 00ca9a3b00000000")
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("a row: %s", diff)
	}
	call = appendCall(nil, callHead{function: 3, meta: row[:24], row: true}, 0, false)
	want = unhex(t, "2c000000 01 04 0300 0000 0000 18000000 0000000000000000"+"2100000000000000"+"0400 0000 00000000 0500000000000000")
	if diff := cmp.Diff(want, call); diff != "" {
		t.Errorf("CALL of a row: %s", diff)
	}
	if diff := cmp.Diff(unhex(t, "14000000 04 00 0000 0000 0000 00000000 0000000000000000"), stopFrame()); diff != "" {
		t.Errorf("STOP: %s", diff)
	}
	reply = unhex(t, "24000000 02 00 00 04 0000 0000 00000000 0100000000000000 0200000000000000 0300000000000000")
	r, err = parseReply(reply, len(reply), 100)
	if want := (replyHead{flags: flagHanded, start: 1, run: 2, cpu: 3}); err != nil || r != want {
		t.Errorf("REPLY to which another follows: %+v, %v", r, err)
	}

	if diff := cmp.Diff(unhex(t, "06000000 18 000000 6162"), appendControl(nil, kindAddLane, []byte("ab"))); diff != "" {
		t.Errorf("ADD_LANE: %s", diff)
	}
	spawn := spawnFrame(7, 2, true, WorkerOptions{CPU: AnyCPU, SwitchInterval: 5 * time.Millisecond, DataLimit: 1 << 32})
	kind, n, err := parseControl(spawn)
	if err != nil || kind != kindSpawn || n != 24 {
		t.Errorf("SPAWN's head: %d, %d, %v", kind, n, err)
	}
	if diff := cmp.Diff(unhex(t, "07000000 0200 0100 ffffffff 88130000 0000000001000000"), spawn[controlHeader:]); diff != "" {
		t.Errorf("SPAWN's payload: %s", diff)
	}
	event, err := parseWorkerEvent(unhex(t, "07000000 d2040000 09000000"))
	if err != nil || event != (workerEvent{id: 7, pid: 1234, value: 9}) {
		t.Errorf("EXITED: %+v, %v", event, err)
	}
}

// replyBytes makes a REPLY with fields that a test changes.
func replyBytes(change func(b []byte)) []byte {
	b := make([]byte, replyHeader+5)
	b[0] = replyHeader - lengthSize + 5
	b[4] = kindReply
	copy(b[replyHeader:], "hello")
	change(b)
	return b
}

// sharedReply makes a REPLY whose body is in shared memory.
func sharedReply(flags byte, size uint64, change func(b []byte)) []byte {
	b := make([]byte, replyHeader, replyHeader+sharedSize)
	b[0] = replyHeader - lengthSize + sharedSize
	b[4], b[7] = kindReply, flags
	if change != nil {
		change(b)
	}
	return binary.LittleEndian.AppendUint64(b, size)
}

// handed makes a REPLY to which another follows, and that.
func handed(change func(b []byte)) []byte {
	b := make([]byte, replyHeader)
	b[0], b[4], b[7] = replyHeader-lengthSize, kindReply, flagHanded
	change(b)
	return append(b, replyBytes(func([]byte) {})...)
}

func TestBadFrames(t *testing.T) {
	for name, test := range map[string]struct {
		frame []byte
		want  string
	}{
		"kind":             {replyBytes(func(b []byte) { b[4] = kindCall }), "unknown kind 1"},
		"short reply":      {replyBytes(func(b []byte) { b[0] = 3 }), "shorter than its parts"},
		"long reply":       {replyBytes(func(b []byte) { b[2] = 0xff }), "over the limit"},
		"longest":          {bytes.Repeat([]byte{0xff}, replyHeader), "unknown kind 255"},
		"outcome":          {replyBytes(func(b []byte) { b[5] = 6 }), "unknown outcome 6"},
		"content":          {replyBytes(func(b []byte) { b[6] = 4 }), "unknown content 4"},
		"status":           {replyBytes(func(b []byte) { b[8] = 99 }), "status 99"},
		"headers":          {replyBytes(func(b []byte) { b[12] = 6 }), "6 bytes of headers"},
		"headers of 4 GiB": {replyBytes(func(b []byte) { copy(b[12:], "\xff\xff\xff\xff") }), "bytes of headers"},
		"run":              {replyBytes(func(b []byte) { b[31] = 0x80 }), "negative time"},
		"cpu":              {replyBytes(func(b []byte) { b[39] = 0x80 }), "negative time"},
		"flags":            {replyBytes(func(b []byte) { b[7] = 8 }), "flags 8"},
		"handed a body":    {replyBytes(func(b []byte) { b[7] = flagHanded }), "to which another follows"},
		"handed a failure": {handed(func(b []byte) { b[5] = 1 }), "to which another follows"},
		"handed to nobody": {handed(func([]byte) {}), "1 functions of a row of 0"},
		"new, not shared":  {replyBytes(func(b []byte) { b[7] = flagNew }), "flags 2"},
		"shared, no size":  {replyBytes(func(b []byte) { b[7] = flagShared }), "5 bytes for the size"},
		"shared failure":   {sharedReply(flagShared, 9, func(b []byte) { b[5] = 1 }), "outcome 1"},
		"not offered":      {sharedReply(flagShared, 9, nil), "not offered"},
		"not beside it":    {sharedReply(flagShared|flagNew, 9, nil), "there is none"},
		"shared nothing":   {sharedReply(flagShared|flagNew, 0, nil), "over the limit"},
		"shared too much":  {sharedReply(flagShared|flagNew, 65, nil), "over the limit"},
		"shared huge":      {sharedReply(flagShared|flagNew, 1<<63, nil), "over the limit"},
		"two":              {append(replyBytes(func([]byte) {}), 1, 2, 3), "3 bytes follow a reply"},
		"short log":        {[]byte{3, 0, 0, 0, kindLog, 1, 0, 0}, "shorter than its parts"},
		"long log":         {[]byte{0, 0, 0x40, 0, kindLog, 1, 0, 0}, "over the limit"},
		"cut":              {replyBytes(func([]byte) {})[:replyHeader+2], "EOF"},
		"nothing":          {nil, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			got := receive(t, test.frame, 64, nil)
			if got.err == nil || !strings.Contains(got.err.Error(), test.want) {
				t.Errorf("got %v, want %q", got.err, test.want)
			}
		})
	}
	if _, err := parseWorkerEvent(nil); err == nil {
		t.Error("an empty worker event was read")
	}
	for _, size := range []string{"00000000", "03000000", "ffffffff", "fdffff00"} {
		if _, _, err := parseControl(unhex(t, size+"18000000")); err == nil {
			t.Errorf("a control frame of size %s was read", size)
		}
	}
}

// received is what a lane made of some bytes.
type received struct {
	head    replyHead
	body    string
	headers string
	logs    []LogLine
	err     error
}

// receive has a lane read what a worker sent before it closed its end, written
// in pieces whose sizes cut tells; nil: at once.
func receive(tb testing.TB, sent []byte, maxBody int, cut func(left int) int) received {
	tb.Helper()
	return receiveWith(tb, sent, -1, maxBody, cut)
}

// receiveWith has a descriptor come beside the first byte; -1: none. It is
// closed here.
func receiveWith(tb testing.TB, sent []byte, fd, maxBody int, cut func(left int) int) received {
	tb.Helper()
	ours, theirs, err := socketPair()
	if err != nil {
		tb.Fatal(err)
	}
	var got received
	z := &Zygote{spec: Spec{MaxBody: maxBody, Log: func(l LogLine) { got.logs = append(got.logs, l) }}}
	l := newLane(&Worker{zygote: z}, ours)
	defer l.close()
	written := make(chan struct{})
	go func() {
		defer close(written)
		defer theirs.Close()
		if fd >= 0 {
			defer unix.Close(fd)
		}
		for rest := sent; len(rest) > 0; {
			n := len(rest)
			if cut != nil {
				n = cut(n)
			}
			var err error
			if len(rest) == len(sent) && fd >= 0 {
				n, err = unix.SendmsgN(int(theirs.Fd()), rest[:n], unix.UnixRights(fd), nil, unix.MSG_NOSIGNAL)
			} else {
				_, err = theirs.Write(rest[:n])
			}
			if err != nil {
				return // the lane had seen enough
			}
			rest = rest[n:]
		}
	}()
	head, body, headers, err := l.receive(Call{Function: "f", RequestID: "r"})
	if cap(l.in) > logHeader+maxLog+readBuffer {
		tb.Errorf("the lane took a buffer of %d bytes", cap(l.in))
	}
	got.head, got.body, got.headers, got.err = head, string(body), string(headers), err
	l.close()
	<-written
	return got
}

// FuzzReceive has a lane read anything: it neither panics nor takes more
// memory than the bounds allow, how the bytes are cut makes no difference, and
// what it accepts is what the frame says.
func FuzzReceive(f *testing.F) {
	f.Add(replyBytes(func([]byte) {}), uint64(1))
	f.Add(replyBytes(func(b []byte) { b[12] = 2; b[8] = 200 }), uint64(2))
	f.Add(append([]byte{10, 0, 0, 0, kindLog, 2, 0, 0, 'a', '\n', '\xff', 'b', '\r', '\n'}, replyBytes(func([]byte) {})...), uint64(3))
	f.Add(append([]byte{4, 0, 0, 0, kindLog, 1, 0, 0}, replyBytes(func(b []byte) { b[5] = 1 })...), uint64(4))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, kindReply, 0, 0, 0}, uint64(5))
	f.Fuzz(func(t *testing.T, sent []byte, seed uint64) {
		const maxBody = 64
		got := receive(t, sent, maxBody, nil)
		random := rand.New(rand.NewPCG(seed, 0))
		again := receive(t, sent, maxBody, func(left int) int { return 1 + random.IntN(min(left, 50)) })
		// What follows a reply is seen only if it has come by then.
		var bad *frameError
		follows := func(err error) bool { return errors.As(err, &bad) && strings.Contains(err.Error(), "follow a reply") }
		if !follows(got.err) && !follows(again.err) {
			if (got.err == nil) != (again.err == nil) || got.body != again.body || got.headers != again.headers || got.head != again.head {
				t.Fatalf("whole: %+v\nin pieces: %+v", got, again)
			}
			if diff := cmp.Diff(got.logs, again.logs); diff != "" {
				t.Fatalf("logs: %s", diff)
			}
		}
		for _, l := range got.logs {
			if strings.ToValidUTF8(l.Text, "") != l.Text || strings.Contains(l.Text, "\n") || (l.Stream != "stdout" && l.Stream != "stderr") {
				t.Fatalf("log line %+v", l)
			}
		}
		if got.err != nil {
			if !errors.As(got.err, &bad) && !errors.Is(got.err, io.EOF) && !errors.Is(got.err, io.ErrUnexpectedEOF) {
				t.Fatalf("got %v", got.err)
			}
			return
		}
		h := got.head
		switch {
		case h.body != len(got.body) || h.headers != len(got.headers):
			t.Fatalf("%+v came with %d bytes and %d of headers", h, len(got.body), len(got.headers))
		case h.outcome == outcomeOK && h.body > maxBody, h.body > maxFailure, h.headers > maxHeaders:
			t.Fatalf("%+v is over the bounds", h)
		case h.run < 0 || h.cpu < 0 || h.status != 0 && (h.status < 100 || h.status > 599):
			t.Fatalf("%+v was let through", h)
		case !bytes.HasSuffix(sent, []byte(got.headers+got.body)):
			t.Fatalf("%q is not what was sent", got.body)
		}
	})
}

// FuzzReceiveMemory has a file of any size, seals and kind come beside anything:
// what the lane takes as shared memory can be read to its end without a signal,
// and no descriptor stays behind.
func FuzzReceiveMemory(f *testing.F) {
	f.Add(sharedReply(flagShared|flagNew, 60, nil), int64(4096), uint8(unix.F_SEAL_SHRINK), uint64(1))
	f.Add(sharedReply(flagShared|flagNew, 60, nil), int64(59), uint8(unix.F_SEAL_SHRINK), uint64(2))
	f.Add(sharedReply(flagShared|flagNew, 60, nil), int64(4096), uint8(0), uint64(3))
	f.Add(sharedReply(flagShared|flagNew, 60, nil), int64(-1), uint8(0), uint64(4))
	f.Add(replyBytes(func([]byte) {}), int64(4096), uint8(unix.F_SEAL_SHRINK), uint64(5))
	f.Add(append([]byte{10, 0, 0, 0, kindLog, 2, 0, 0, 'a', '\n', '\xff', 'b', '\r', '\n'}, sharedReply(flagShared|flagNew, 60, nil)...),
		int64(100), uint8(unix.F_SEAL_SHRINK|unix.F_SEAL_WRITE), uint64(6))
	f.Fuzz(func(t *testing.T, sent []byte, size int64, seals uint8, seed uint64) {
		if len(sent) == 0 {
			return
		}
		if size >= 0 {
			size &= 1<<40 - 1
		}
		fd := memfdOf(t, size, seals)
		random := rand.New(rand.NewPCG(seed, 0))
		got := receiveWith(t, sent, fd, 64, func(left int) int { return 1 + random.IntN(min(left, 50)) })
		var bad *frameError
		switch {
		case got.err != nil:
			if !errors.As(got.err, &bad) && !errors.Is(got.err, io.EOF) && !errors.Is(got.err, io.ErrUnexpectedEOF) {
				t.Fatalf("got %v", got.err)
			}
		case got.head.flags&flagShared == 0:
			t.Fatalf("a descriptor came beside %+v, and was let through", got.head)
		case len(got.body) < 1 || len(got.body) > 64 || size < int64(len(got.body)) || seals&unix.F_SEAL_SHRINK == 0:
			t.Fatalf("a file of %d bytes with seals %#x was taken for %d bytes", size, seals, len(got.body))
		}
	})
}

// memfdOf makes shared memory; a negative size: a pipe's end.
func memfdOf(tb testing.TB, size int64, seals uint8) int {
	tb.Helper()
	if size < 0 {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			tb.Fatal(err)
		}
		_ = unix.Close(p[1])
		return p[0]
	}
	fd, err := unix.MemfdCreate("fuzz", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		tb.Fatal(err)
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		tb.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, int(seals&0xf)); err != nil {
		tb.Fatal(err)
	}
	return fd
}

func FuzzControl(f *testing.F) {
	f.Add(spawnFrame(1, 1, false, WorkerOptions{CPU: AnyCPU}))
	f.Add(appendControl(nil, kindExited, make([]byte, 12)))
	f.Fuzz(func(t *testing.T, sent []byte) {
		kind, payload, err := readControlFrame(bytes.NewReader(sent))
		if err != nil {
			return
		}
		if !bytes.HasPrefix(sent, append(sent[:controlHeader:controlHeader], payload...)) || kind != sent[4] {
			t.Fatalf("kind %d, payload %x of %x", kind, payload, sent)
		}
		if event, err := parseWorkerEvent(payload); err == nil {
			waitStatus(event.pid, event.value)
		}
	})
}
