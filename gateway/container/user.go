package container

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// nobody is the user and the group of functions whose image names none other than
// root.
const nobody = 65534

// user is whom a container's processes are.
type user struct {
	uid, gid uint32
	// groups beside gid.
	groups []uint32
	home   string
}

// userOf finds the user that an image names ("app", "1000", "app:staff") in its
// files; root, and none, is nobody. os.Root keeps a link in the image from leading
// to this machine's files.
func userOf(root, name string) (user, error) {
	u := user{uid: nobody, gid: nobody, home: "/"}
	name, group, grouped := strings.Cut(name, ":")
	files, err := os.OpenRoot(root)
	if err != nil {
		return u, err
	}
	defer func() { _ = files.Close() }()
	if name == "" || name == "root" || isZero(name) {
		return u, nil
	}
	uid, numeric := number(name)
	entry := lookUp(files, "etc/passwd", func(f []string) bool {
		return len(f) >= 6 && (f[0] == name || numeric && f[2] == name)
	})
	switch {
	case entry != nil:
		id, ok := number(entry[2])
		gid, ok2 := number(entry[3])
		if !ok || !ok2 {
			return u, fmt.Errorf("its /etc/passwd is wrong about user %q", name)
		}
		u.uid, u.gid, u.home = id, gid, entry[5]
		name = entry[0]
		if u.uid == 0 { // root by another name
			return user{uid: nobody, gid: nobody, home: "/"}, nil
		}
	case numeric:
		u.uid, u.gid = uid, uid
	default:
		return u, fmt.Errorf("it runs as user %q, who is not in its /etc/passwd", name)
	}
	switch gid, isNumber := number(group); {
	case !grouped:
		each(files, "etc/group", func(f []string) bool {
			if gid, ok := number(at(f, 2)); ok && gid != 0 && contains(at(f, 3), name) {
				u.groups = append(u.groups, gid)
			}
			return false
		})
	case isNumber:
		u.gid = gid
	default:
		entry := lookUp(files, "etc/group", func(f []string) bool { return len(f) >= 3 && f[0] == group })
		gid, ok := number(at(entry, 2))
		if !ok {
			return u, fmt.Errorf("it runs in group %q, which is not in its /etc/group", group)
		}
		u.gid = gid
	}
	if u.gid == 0 {
		u.gid = nobody // root's group may write what root may
	}
	return u, nil
}

func isZero(s string) bool {
	n, ok := number(s)
	return ok && n == 0
}

func number(s string) (uint32, bool) {
	n, err := strconv.ParseUint(s, 10, 31)
	return uint32(n), err == nil
}

func at(fields []string, n int) string {
	if n < len(fields) {
		return fields[n]
	}
	return ""
}

func contains(list, name string) bool {
	for member := range strings.SplitSeq(list, ",") {
		if member == name {
			return true
		}
	}
	return false
}

// maxAccounts bounds /etc/passwd and /etc/group, bytes.
const maxAccounts = 1 << 20

// each calls visit for the lines of a file of fields between colons, until it
// answers true.
func each(files *os.Root, name string, visit func(fields []string) bool) {
	f, err := files.Open(name)
	if err != nil {
		return // an image need not have any
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return
	}
	lines := bufio.NewScanner(io.LimitReader(f, maxAccounts))
	for lines.Scan() {
		if visit(strings.Split(lines.Text(), ":")) {
			return
		}
	}
}

func lookUp(files *os.Root, name string, is func(fields []string) bool) (found []string) {
	each(files, name, func(f []string) bool {
		if is(f) {
			found = f
		}
		return found != nil
	})
	return found
}
