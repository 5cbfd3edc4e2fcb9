package pack

// arena copies small pieces of bytes into few large ones.
type arena struct{ room []byte }

const arenaBlock = 64 << 10

// copy returns a copy of b that nothing overwrites.
func (a *arena) copy(b []byte) []byte {
	if len(b) > arenaBlock/8 {
		return append([]byte(nil), b...)
	}
	if cap(a.room)-len(a.room) < len(b) {
		a.room = make([]byte, 0, arenaBlock)
	}
	at := len(a.room)
	a.room = append(a.room, b...)
	return a.room[at:len(a.room):len(a.room)]
}
