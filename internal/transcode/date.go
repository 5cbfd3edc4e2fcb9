package transcode

// The dates of the years 0000 to 9999 in milliseconds since 1970: what RFC
// 3339 can tell.
const (
	firstDate = -62167219200000
	lastDate  = 253402300799999
)

const dayMillis = 86400000

// putDate writes a date as "2024-05-01T12:00:00.000Z" with its quotes, or, for
// a year out of range, as a number.
func putDate(out []byte, n int, ms int64, last *lastDay) int {
	if ms < firstDate || ms > lastDate {
		return putInt(out, n, ms)
	}
	// Counted from 400 years before 0000-03-01, to stay above zero.
	const shift = 719468 + 146097
	since := uint64(ms + shift*dayMillis)
	days := since / dayMillis
	if uint32(days) != last.day {
		*last = lastDay{uint32(days), ymd(uint32(days))}
	}
	ymd := last.ymd

	rest := uint32(since - days*dayMillis)
	sec := rest / 1000
	milli := rest - sec*1000
	minute := sec / 60
	hour := minute / 60
	hms := dig4x2(hour*100+minute-hour*60, (sec-minute*60)*100+milli/10) + zeros8

	b := out[n : n+32 : len(out)]
	b[0] = '"'
	store64(b, 1, ymd&0xffffffff|'-'<<32|ymd>>32&0xffff<<40|'-'<<56)
	store64(b, 9, ymd>>48|'T'<<16|hms&0xffff<<24|':'<<40|hms>>16&0xffff<<48)
	store64(b, 17, ':'|hms>>32&0xffff<<8|'.'<<24|hms>>48<<32|uint64('0'+milli%10)<<48|'Z'<<56)
	b[25] = '"'
	return n + 26
}

// lastDay is the day of the date written last, with its digits. The dates of a
// document are often of one day.
type lastDay struct {
	day uint32
	ymd uint64
}

// ymd returns the eight digits of year, month and day of a day, counted
// from 400 years before 0000-03-01. Neri and Schneider, Euclidean affine
// functions: a date by multiplications.
func ymd(day uint32) uint64 {
	century := (4*day + 3) / 146097
	n2 := (4*day+3)%146097 | 3
	p := 2939745 * uint64(n2)
	year := 100*century + uint32(p>>32) - 400
	dayOfYear := uint32(p) / 2939745 / 4
	n3 := 2141*dayOfYear + 197913
	month, dom := n3>>16, n3&0xffff/2141+1
	if dayOfYear >= 306 {
		year++
		month -= 12
	}
	return dig4x2(year, month*100+dom) + zeros8
}
