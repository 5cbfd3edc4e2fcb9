package transcode

// removed stands in the output for a value that is left out; nothing else
// writes this byte, which JSON can't hold.
const removed = 0

// strip takes the values that are left out, with the names of those that are
// fields, out of the JSON at out[start:n] and returns where it ends then.
func strip(out []byte, start, n int) int {
	w := start
	for r := start; r < n; r++ {
		if out[r] != removed {
			out[w] = out[r]
			w++
			continue
		}
		if w > start && out[w-1] == ':' {
			w = nameStart(out, w-2)
		}
		switch next := at(out, r+1, n); {
		case next == ',':
			r++
		case (next == '}' || next == ']') && w > start && out[w-1] == ',':
			w--
		}
	}
	return w
}

// at is the byte at out[i], 0 from n on.
func at(out []byte, i, n int) byte {
	if i < n {
		return out[i]
	}
	return 0
}

// nameStart returns where the text begins whose closing quote is at out[i].
func nameStart(out []byte, i int) int {
	for i--; ; i-- {
		if out[i] != '"' {
			continue
		}
		k := i
		for k > 0 && out[k-1] == '\\' {
			k--
		}
		if (i-k)%2 == 0 {
			return i
		}
	}
}
