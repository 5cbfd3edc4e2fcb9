package transcode

import "time"

// parseDate reads a date of ISO 8601: 2024-05-01, then perhaps T or a space and
// 12:00 or 12:00:30 or 12:00:30.123456 (beyond milliseconds it is cut), then
// perhaps Z or +02:00 or +0200; without that it is UTC.
func parseDate(s []byte) (ms int64, ok bool) {
	d := dateText{s, true}
	year := d.digits(4)
	d.char('-')
	month := d.digits(2)
	d.char('-')
	day := d.digits(2)
	var clock int64
	if len(d.rest) > 0 && (d.rest[0] == 'T' || d.rest[0] == 't' || d.rest[0] == ' ') {
		d.rest = d.rest[1:]
		clock = d.clock()
		clock -= d.zone()
	}
	if !d.ok || len(d.rest) > 0 || month < 1 || month > 12 || day < 1 || day > daysOf(year, month) {
		return 0, false
	}
	return time.Date(int(year), time.Month(month), int(day), 0, 0, 0, 0, time.UTC).UnixMilli() + clock, true
}

// dateText is what is left of a text; ok until something does not fit.
type dateText struct {
	rest []byte
	ok   bool
}

// digits takes a number of exactly n digits.
func (d *dateText) digits(n int) (v int64) {
	if len(d.rest) < n {
		d.ok = false
		return 0
	}
	for _, c := range d.rest[:n] {
		if c < '0' || c > '9' {
			d.ok = false
		}
		v = v*10 + int64(c-'0')
	}
	d.rest = d.rest[n:]
	return v
}

func (d *dateText) next(c byte) bool { return len(d.rest) > 0 && d.rest[0] == c }

func (d *dateText) char(c byte) {
	if !d.next(c) {
		d.ok = false
		return
	}
	d.rest = d.rest[1:]
}

// clock takes the time of day, in milliseconds.
func (d *dateText) clock() int64 {
	hour := d.digits(2)
	d.char(':')
	minute := d.digits(2)
	var second, milli int64
	if d.next(':') {
		d.char(':')
		second = d.digits(2)
		if d.next('.') || d.next(',') {
			d.rest = d.rest[1:]
			milli = d.fraction()
		}
	}
	if hour > 23 || minute > 59 || second > 59 {
		d.ok = false
	}
	return ((hour*60+minute)*60+second)*1000 + milli
}

// fraction takes at least one digit, and makes milliseconds of them.
func (d *dateText) fraction() (milli int64) {
	scale := int64(100)
	k := 0
	for k < len(d.rest) && d.rest[k] >= '0' && d.rest[k] <= '9' {
		milli += int64(d.rest[k]-'0') * scale
		scale /= 10
		k++
	}
	if k == 0 {
		d.ok = false
	}
	d.rest = d.rest[k:]
	return milli
}

// zone takes how far the clock is ahead of UTC, in milliseconds.
func (d *dateText) zone() int64 {
	if len(d.rest) == 0 {
		return 0
	}
	sign := int64(1)
	switch d.rest[0] {
	case 'Z', 'z':
		d.rest = d.rest[1:]
		return 0
	case '-':
		sign = -1
	case '+':
	default:
		d.ok = false
		return 0
	}
	d.rest = d.rest[1:]
	hour := d.digits(2)
	var minute int64
	if d.next(':') {
		d.char(':')
		minute = d.digits(2)
	} else if len(d.rest) > 0 {
		minute = d.digits(2)
	}
	if hour > 23 || minute > 59 {
		d.ok = false
	}
	return sign * (hour*60 + minute) * 60000
}

func daysOf(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
