package transform

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// datePart is one part of a format of dates: letters that stand for something,
// or text.
type datePart struct {
	letters string
	text    string
}

// dateFormat writes times in UTC.
type dateFormat []datePart

const dateLetters = "yyyy, MM, dd, HH, and xxxx (year of the ISO week) with ww"

// parseDate reads a format.
func parseDate(text string) (dateFormat, error) {
	if text == "" {
		return nil, errors.New("a format of dates is missing after the colon; it knows " + dateLetters)
	}
	var f dateFormat
	year, week := false, false
	for i := 0; i < len(text); {
		c, n := text[i], 1
		isLetter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !isLetter {
			if !strings.ContainsRune("-._/", rune(c)) {
				return nil, fmt.Errorf("a format of dates can't hold %q; between its letters stand - . _ or /", c)
			}
			f = append(f, datePart{text: text[i : i+1]})
			i++
			continue
		}
		for i+n < len(text) && text[i+n] == c {
			n++
		}
		switch word := text[i : i+n]; word {
		case "yyyy", "MM", "dd", "HH", "xxxx", "ww":
			f = append(f, datePart{letters: word})
			year = year || word == "yyyy"
			week = week || word == "ww" || word == "xxxx"
		default:
			return nil, fmt.Errorf("a format of dates knows no %q; it knows %s", word, dateLetters)
		}
		i += n
	}
	if year && week {
		return nil, errors.New("yyyy is not the year of an ISO week: ww goes with xxxx")
	}
	return f, nil
}

// append writes t, in UTC; false for years that have not four digits.
func (f dateFormat) append(dst []byte, t time.Time) ([]byte, bool) {
	t = t.UTC()
	year, week := t.ISOWeek()
	if y := t.Year(); y < 1 || y > 9998 {
		return dst, false
	}
	for _, p := range f {
		switch p.letters {
		case "":
			dst = append(dst, p.text...)
		case "yyyy":
			dst = fmt.Appendf(dst, "%04d", t.Year())
		case "MM":
			dst = fmt.Appendf(dst, "%02d", int(t.Month()))
		case "dd":
			dst = fmt.Appendf(dst, "%02d", t.Day())
		case "HH":
			dst = fmt.Appendf(dst, "%02d", t.Hour())
		case "xxxx":
			dst = fmt.Appendf(dst, "%04d", year)
		case "ww":
			dst = fmt.Appendf(dst, "%02d", week)
		}
	}
	return dst, true
}
