package strace

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Lines as strace 6.1 printed them; the calls begin at 10 and 20 s.
func TestSocketsOf(t *testing.T) {
	for name, test := range map[string]struct {
		lines string
		want  []string
	}{
		"tcp, udp, unix": {`
1 10.1 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 4<socket:[31]> <0.000023>
1 10.2 connect(4<socket:[31]>, {sa_family=AF_INET, sin_port=htons(9753), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.000116>
1 10.3 socket(AF_INET, SOCK_DGRAM|SOCK_CLOEXEC, IPPROTO_IP) = 5<socket:[35]> <0.000013>
1 10.4 bind(5<socket:[35]>, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("0.0.0.0")}, 16) = 0 <0.000038>
1 10.5 connect(6<socket:[33]>, {sa_family=AF_UNIX, sun_path="/run/x.sock"}, 14) = 0 <0.000042>
1 20.2 connect(4<socket:[31]>, {sa_family=AF_INET, sin_port=htons(9753), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.000116>
`, []string{"bind udp 0.0.0.0:53", "connect tcp 127.0.0.1:9753", "connect unix /run/x.sock"}},
		"IPv6, still connecting": {`
1 10.1 socket(AF_INET6, SOCK_STREAM|SOCK_CLOEXEC|SOCK_NONBLOCK, IPPROTO_IP) = 9<socket:[36]> <0.000013>
1 10.2 connect(9<socket:[36]>, {sa_family=AF_INET6, sin6_port=htons(9999), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1", &sin6_addr), sin6_scope_id=0}, 28) = -1 EINPROGRESS (Operation now in progress) <0.000054>
`, []string{"connect tcp [::1]:9999"}},
		"an abstract name": {`
1 10.1 bind(7<socket:[34]>, {sa_family=AF_UNIX, sun_path=@"abs\1 tract"}, 13) = 0 <0.000013>
`, []string{"bind unix @abs\x01 tract"}},
		"refused, absent, netlink, before the calls": {`
1 9.1 connect(9<socket:[36]>, {sa_family=AF_UNIX, sun_path="/run/early"}, 28) = 0 <0.000054>
1 10.1 connect(9<socket:[36]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 28) = -1 ECONNREFUSED (Connection refused) <0.000054>
1 10.2 connect(13<socket:[39]>, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file or directory) <0.000018>
1 10.3 bind(12<socket:[38]>, {sa_family=AF_NETLINK, nl_pad=0x8590, nl_pid=0, nl_groups=00000000}, 12) = 0 <0.000012>
1 10.4 connect(3, {sa_family=AF_UNSPEC, sa_data="\0"}, 16) = 0 <0.000012>
`, nil},
		"a socket from before": {`
1 10.1 connect(9<socket:[36]>, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 28) = 0 <0.000054>
`, []string{"connect ip 127.0.0.1:80"}},
		"a server of its own": {`
1 10.1 socket(AF_INET, SOCK_STREAM|SOCK_CLOEXEC, IPPROTO_IP) = 4<socket:[31]> <0.000023>
1 10.2 bind(4<socket:[31]>, {sa_family=AF_INET, sin_port=htons(0), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.000027>
1 10.3 getsockname(4<socket:[31]>, {sa_family=AF_INET, sin_port=htons(36997), sin_addr=inet_addr("127.0.0.1")}, [16]) = 0 <0.000010>
1 10.4 connect(5<socket:[32]>, {sa_family=AF_INET, sin_port=htons(36997), sin_addr=inet_addr("127.0.0.1")}, 16) = 0 <0.000116>
`, []string{"bind tcp 127.0.0.1:0"}},
	} {
		t.Run(name, func(t *testing.T) {
			all, unread := parse([]byte(strings.TrimPrefix(test.lines, "\n")))
			if unread > 0 {
				t.Fatalf("%d lines are not read", unread)
			}
			got := socketsOf(all, []time.Duration{10 * time.Second, 20 * time.Second})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzAddressOf(f *testing.F) {
	f.Add(`3, {sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr("127.0.0.1")}, 16`)
	f.Add(`3, {sa_family=AF_UNIX, sun_path=@"a\"b"}, 16`)
	f.Add(`3, {sa_family=AF_INET6, sin6_port=htons(1), inet_pton(AF_INET6, "::1`)
	f.Fuzz(func(t *testing.T, args string) {
		address, port, ok := addressOf(args)
		if ok && (address == "" || port < -1 || port > 65535) {
			t.Errorf("%q: %q, %d", args, address, port)
		}
	})
}
