package lease

// Abandon ends the renewal as the death of a process does: nothing is given back.
func (l *Lease) Abandon() {
	l.stop()
	<-l.ended
	l.lose(ErrLost)
}

// SystemClock is the clock of Check.
var SystemClock = systemClock
