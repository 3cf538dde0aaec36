package workflow

// maxJSONDepth is how deep values of the data flow may be nested; the same as
// encoding/json's bound.
const maxJSONDepth = 10000

// validJSON reports what json.Valid does, several times as fast: values of the
// data flow are megabytes at times, and each is checked before a path reads it.
// It allocates nothing and does not recurse.
func validJSON(b []byte) bool {
	var objects [maxJSONDepth/64 + 1]uint64 // bit d: the value open at depth d is an object
	depth := 0
	i := skipSpace(b, 0)
	for {
		// A value begins at i.
		if i >= len(b) {
			return false
		}
		c := b[i]
		if c == '{' || c == '[' {
			if depth == maxJSONDepth {
				return false
			}
			i = skipSpace(b, i+1)
			if i < len(b) && b[i] == c+2 { // } is {+2, and ] is [+2
				i++
			} else {
				bit := uint64(1) << (depth % 64)
				if c == '{' {
					objects[depth/64] |= bit
					if i = memberValue(b, i); i < 0 {
						return false
					}
				} else {
					objects[depth/64] &^= bit
				}
				depth++
				continue
			}
		} else if i = scalarEnd(b, i); i < 0 {
			return false
		}
		// A value ended before i: close what ends here, then go on to the next.
		for {
			i = skipSpace(b, i)
			if depth == 0 {
				return i == len(b)
			}
			if i >= len(b) {
				return false
			}
			object := objects[(depth-1)/64]&(1<<((depth-1)%64)) != 0
			if b[i] == ',' {
				i = skipSpace(b, i+1)
				if object {
					if i = memberValue(b, i); i < 0 {
						return false
					}
				}
				break
			}
			if object && b[i] != '}' || !object && b[i] != ']' {
				return false
			}
			i++
			depth--
		}
	}
}

// memberValue reads a name and its colon at b[i] and returns where the value
// begins, or -1.
func memberValue(b []byte, i int) int {
	if i >= len(b) || b[i] != '"' {
		return -1
	}
	if i = stringEnd(b, i); i < 0 {
		return -1
	}
	i = skipSpace(b, i)
	if i >= len(b) || b[i] != ':' {
		return -1
	}
	return skipSpace(b, i+1)
}

// scalarEnd returns the end of the string, number or word at b[i], or -1.
func scalarEnd(b []byte, i int) int {
	word := ""
	switch c := b[i]; {
	case c == '"':
		return stringEnd(b, i)
	case c == '-' || c >= '0' && c <= '9':
		if end := numberEnd(b, i); end > i {
			return end
		}
		return -1
	case c == 't':
		word = "true"
	case c == 'f':
		word = "false"
	case c == 'n':
		word = "null"
	default:
		return -1
	}
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return -1
	}
	return i + len(word)
}

// stringEnd returns the index after the string at b[i], or -1.
func stringEnd(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return i + 1
		case c < 0x20:
			return -1
		case c == '\\':
			i++
			if i >= len(b) {
				return -1
			}
			switch b[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if len(b)-i < 5 || !isHex(b[i+1]) || !isHex(b[i+2]) || !isHex(b[i+3]) || !isHex(b[i+4]) {
					return -1
				}
				i += 4
			default:
				return -1
			}
		}
	}
	return -1
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// numberEnd returns the end of the JSON number that begins at b[i], or i where
// none does.
func numberEnd(b []byte, i int) int {
	start := i
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else if end := digitsEnd(b, i); end > i {
		i = end
	} else {
		return start
	}
	if i < len(b) && b[i] == '.' {
		end := digitsEnd(b, i+1)
		if end == i+1 {
			return start
		}
		i = end
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		if i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		end := digitsEnd(b, i)
		if end == i {
			return start
		}
		i = end
	}
	return i
}

func digitsEnd(b []byte, i int) int {
	for i < len(b) && b[i] >= '0' && b[i] <= '9' {
		i++
	}
	return i
}
