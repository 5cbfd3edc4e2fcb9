// Package transcode turns raw BSON into JSON bytes in one pass: no maps, no
// reflection, no allocation per document. What the configuration says of fields
// and formats is compiled into a Plan, which writes straight into the caller's
// buffer. It also gives each value of _id its text (rule S10) and reads it back.
//
// How each BSON type is written is fixed (rule S11) and told in
// docs/rendering.md.
//
// It must not do I/O, log, or know of search engines beyond the field names
// that they refuse. It never changes its input and keeps no view of it.
//
// What Monstache writes is a style of its own, with ids of its own (AppendGoID).
//
// What can go wrong, all of it with the document itself: ErrCorrupt (the bytes
// are no BSON) and ErrRejected (a field name, or a number that is not finite,
// where the options ask for that; an id that no index takes). Nothing of the
// document is in the buffer then. No input makes it panic or read outside the
// document.
package transcode
