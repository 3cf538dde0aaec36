package host

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
)

// TestRefusedBeforeTheCall: a lane that was refused and closed before its first
// call was written is a refused one, not the end of its process.
func TestRefusedBeforeTheCall(t *testing.T) {
	for name, body := range map[string]string{
		"small": "x", "shared": strings.Repeat("x", DefaultShareOver+1),
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs, err := socketPair()
			if err != nil {
				t.Fatal(err)
			}
			z := &Zygote{}
			l := newLane(&Worker{zygote: z}, ours)
			defer l.close()
			refusal := make([]byte, replyHeader)
			binary.LittleEndian.PutUint32(refusal, replyHeader-lengthSize)
			refusal[4], refusal[5] = kindReply, byte(outcomeRefused)
			if _, err := theirs.Write(refusal); err != nil {
				t.Fatal(err)
			}
			if err := theirs.Close(); err != nil {
				t.Fatal(err)
			}
			head, _, _, err := l.do(context.Background(), Call{Function: "f", Body: []byte(body)}, 0, nil)
			if err != nil || head.outcome != outcomeRefused {
				t.Errorf("outcome %d, %v; want %d", head.outcome, err, outcomeRefused)
			}
		})
	}
}
